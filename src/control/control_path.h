// Where a running usher listens for commands.
//
// By default the path follows from the configuration's own path, so that `usher reload -c
// FILE` finds the usher that runs by FILE and no other, from whatever directory.
#ifndef USHER_CONTROL_CONTROL_PATH_H
#define USHER_CONTROL_CONTROL_PATH_H

#include <sys/un.h>

// The path of the control socket: `given` when it is not NULL, else one for the configuration
// at `config`, in /run/usher for root, in $XDG_RUNTIME_DIR/usher or /tmp/usher-UID for
// others. 0 or -errno: -ENAMETOOLONG, -ENOENT when there is no such file.
int control_path(const char *given, const char *config, struct sockaddr_un *ret_address);

// Makes the directory of a default path, for this user alone: 0 or -errno; -EPERM when it
// belongs to somebody else.
int control_path_prepare(const struct sockaddr_un *address);

#endif
