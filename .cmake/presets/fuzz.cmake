# libFuzzer looks for inputs that break a parser, each target for BATON_FUZZ_S seconds.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-g -O1" CACHE STRING "")
set(BATON_FUZZ ON CACHE BOOL "")
