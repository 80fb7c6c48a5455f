# Cross-compiles for Linux on armv7: Debian's arm-linux-gnueabihf-g++ where it is installed, else the `ziglang` wheel.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGETICKET_PYTHON_FOR_ZIG EDGETICKET_ZIG_TARGET EDGETICKET_CROSS)
if(NOT EDGETICKET_ZIG_TARGET)
    set(EDGETICKET_ZIG_TARGET arm-linux-gnueabihf.2.28)  # a musl target links statically, and then runs where no Arm libraries are
endif()
find_program(EDGETICKET_CROSS arm-linux-gnueabihf-g++)
if(EDGETICKET_CROSS)
    set(CMAKE_CXX_COMPILER "${EDGETICKET_CROSS}")
else()
    include("${CMAKE_CURRENT_LIST_DIR}/../cmake/compiler.cmake")
    set(EDGETICKET_NEON_FLAGS -mcpu=cortex_a7)  # zig names a processor where gcc names its floating-point unit
    edgeticket_zig_compiler(${EDGETICKET_ZIG_TARGET})
endif()
