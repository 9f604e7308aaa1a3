// Users of the system, by Pluggable Authentication Modules: whether a password is right, and whether the account may be
// used now, as a service's file says.
#ifndef USHER_ACCESS_PAM_H
#define USHER_ACCESS_PAM_H

#include "access/source.h"

// A NUL is behind each; they are the caller's, and outlive it.
struct pam_service {
	struct slice name;
	struct slice directory; // of the service's file; .data NULL: the system's
};

// As in struct source; self is a struct pam_service. The groups are those that the system knows the user to be in.
enum source_verdict pam_service_verify(void *self, const struct source_question *question,
				       struct source_answer *ret_answer);

#endif
