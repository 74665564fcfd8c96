#include <criterion/criterion.h>
Test(restore, x) {}
