#include "workspaces.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace edgeticket {
namespace {

constexpr std::size_t kMostIdle = 16;  // workspaces; threads that come later take over the longest unused

}  // namespace

void Workspace::reserve(std::size_t bytes) {
    if (bytes > memory.bytes()) memory = Memory(bytes);
}

std::unique_ptr<Workspace> Workspaces::take(const Import& import) {
    const std::thread::id self = std::this_thread::get_id();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        auto place =
            std::find_if(free_.rbegin(), free_.rend(), [self](const auto& idle) { return idle->owner == self; });
        if (place == free_.rend() && free_.size() >= kMostIdle) place = std::prev(free_.rend());
        if (place != free_.rend()) {
            std::unique_ptr<Workspace> workspace = std::move(*place);
            free_.erase(std::next(place).base());
            workspace->owner = self;
            return workspace;
        }
        free_.reserve(++made_);
    }
    auto workspace = std::make_unique<Workspace>(import);
    workspace->owner = self;
    return workspace;
}

void Workspaces::give(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(workspace));
}

}  // namespace edgeticket
