# Memory errors, leaks and undefined behaviour end the program.
set(CMAKE_C_COMPILER gcc CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-g -O1" CACHE STRING "")
set(BATON_SANITIZE "address,undefined" CACHE STRING "")
