#include <criterion/criterion.h>
Test(doctor, x) {}
