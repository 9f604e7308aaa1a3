// cmocka, with the headers that it wants before it.
#ifndef USHER_TESTS_CMOCKA_ALL_H
#define USHER_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
//
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
