// Tells systemd how usher fares (sd_notify(3)); nothing where nobody asked, or where usher
// was built without libsystemd.
#ifndef USHER_CONTROL_NOTIFY_H
#define USHER_CONTROL_NOTIFY_H

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);

// The line that `systemctl status` shows.
void notify_status(const char *status);

#endif
