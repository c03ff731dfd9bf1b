# Memory errors, leaks and undefined behaviour end the program. (gcc warns of what is not so when it
# instruments: clang.)
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-gline-tables-only -O0" CACHE STRING "") # a third of the time of -O1, and nothing is left out
set(BATON_SANITIZE "address,undefined" CACHE STRING "")
