# Cross-compiles for Linux on armv7: Debian's arm-linux-gnueabihf-g++ where it is installed, else the `ziglang` wheel.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGETICKET_PYTHON_FOR_ZIG EDGETICKET_ZIG_TARGET EDGETICKET_CROSS)
if(NOT EDGETICKET_ZIG_TARGET)
    # A musl target would link statically, and then run where no Arm libraries are.
    set(EDGETICKET_ZIG_TARGET arm-linux-gnueabihf.2.28)
endif()
find_program(EDGETICKET_CROSS arm-linux-gnueabihf-g++)
if(EDGETICKET_CROSS)
    set(CMAKE_CXX_COMPILER "${EDGETICKET_CROSS}")
else()
    include("${CMAKE_CURRENT_LIST_DIR}/../cmake/compiler.cmake")
    set(EDGETICKET_NEON_FLAGS -mcpu=cortex_a7)  # zig names a processor where gcc names its floating-point unit
    edgeticket_zig_compiler(${EDGETICKET_ZIG_TARGET})
endif()
