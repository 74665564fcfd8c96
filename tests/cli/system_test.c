#include <criterion/criterion.h>
Test(system, x) {}
