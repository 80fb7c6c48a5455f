# Cross-compiles for Linux on armv7: Debian's arm-linux-gnueabihf-g++ where it is installed, else the `ziglang` wheel.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_CXX_FLAGS_INIT "-march=armv7-a -mfpu=vfpv3-d16 -mfloat-abi=hard")  # kernels for NEON add their own
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGETICKET_PYTHON_FOR_ZIG)
find_program(EDGETICKET_CROSS arm-linux-gnueabihf-g++)
if(EDGETICKET_CROSS)
    set(CMAKE_CXX_COMPILER "${EDGETICKET_CROSS}")
else()
    include("${CMAKE_CURRENT_LIST_DIR}/../cmake/compiler.cmake")
    edgeticket_zig_compiler(arm-linux-gnueabihf.2.28)
endif()
