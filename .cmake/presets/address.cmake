# Memory errors, leaks and undefined behaviour end the program. (gcc warns of what is not so when it
# instruments: clang.)
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-g -O1" CACHE STRING "")
set(BATON_SANITIZE "address,undefined" CACHE STRING "")
