# One way to declare a test. A tier is a CTest label and the first part of the test's name:
#   pfuse_test(unit.fusebox SOURCES fusebox.c LIBS pfuse_core)         a Criterion program
#   pfuse_script_test(e2e.run_command run_command.sh)                   a script; exit 77 skips, visibly
# A sanitizer's report fails the test even where the test framework exits 0.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)

function(_pfuse_test_properties name)
  string(REGEX MATCH "^[a-z0-9]+" tier ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${tier} SKIP_RETURN_CODE 77 TIMEOUT 120
    FAIL_REGULAR_EXPRESSION "LeakSanitizer|AddressSanitizer|runtime error:"
    ENVIRONMENT "PFUSE_BUILD=${CMAKE_BINARY_DIR};PFUSE_SOURCE=${CMAKE_SOURCE_DIR}")
  if(tier STREQUAL "kernel" OR tier STREQUAL "e2e")
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE TIMEOUT 600) # guests are slow, and more so beside others
  endif()
endfunction()

function(pfuse_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBS" ${ARGN})
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${T_SOURCES})
  target_link_libraries(${target} PRIVATE pfuse_flags ${T_LIBS} PkgConfig::CRITERION)
  add_test(NAME ${name} COMMAND ${target})
  _pfuse_test_properties(${name})
endfunction()

function(pfuse_script_test name script)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARGN})
  _pfuse_test_properties(${name})
endfunction()
