// Which sanitizer this was built with, and how to tell AddressSanitizer what is free.
#ifndef USHER_BASE_SANITIZER_H
#define USHER_BASE_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SANITIZE_ADDRESS)
#define SANITIZE_ADDRESS 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(SANITIZE_THREAD)
#define SANITIZE_THREAD 1
#endif

#ifndef SANITIZE_ADDRESS
#define SANITIZE_ADDRESS 0
#endif
#ifndef SANITIZE_THREAD
#define SANITIZE_THREAD 0
#endif

#if SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
// Any use of the bytes is reported from here on, until sanitizer_unpoison.
#define sanitizer_poison(bytes, size) __asan_poison_memory_region(bytes, size)
#define sanitizer_unpoison(bytes, size) __asan_unpoison_memory_region(bytes, size)
#else
#define sanitizer_poison(bytes, size) ((void)(bytes), (void)(size))
#define sanitizer_unpoison(bytes, size) ((void)(bytes), (void)(size))
#endif

#endif
