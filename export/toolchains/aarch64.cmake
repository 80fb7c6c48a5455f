# Cross-compiles for Linux on aarch64: Debian's aarch64-linux-gnu-g++ where it is installed, else the `ziglang` wheel.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGETICKET_PYTHON_FOR_ZIG EDGETICKET_ZIG_TARGET EDGETICKET_CROSS)
if(NOT EDGETICKET_ZIG_TARGET)
    set(EDGETICKET_ZIG_TARGET aarch64-linux-gnu.2.28)  # a musl target links statically, and then runs where no Arm libraries are
endif()
find_program(EDGETICKET_CROSS aarch64-linux-gnu-g++)
if(EDGETICKET_CROSS)
    set(CMAKE_CXX_COMPILER "${EDGETICKET_CROSS}")
else()
    include("${CMAKE_CURRENT_LIST_DIR}/../cmake/compiler.cmake")
    edgeticket_zig_compiler(${EDGETICKET_ZIG_TARGET})
endif()
