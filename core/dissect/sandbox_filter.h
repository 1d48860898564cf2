/* The system calls that are left to a dissection. */
#ifndef DISSECT_SANDBOX_FILTER_H
#define DISSECT_SANDBOX_FILTER_H

#include <stdbool.h>

/* Sanitizers need what a dissection does not. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

bool sandbox_filter_possible(void);

#endif
