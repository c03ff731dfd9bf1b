# Data races between the loop and the worker thread end the program.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-gline-tables-only -O0" CACHE STRING "")
set(BATON_SANITIZE "thread" CACHE STRING "")
