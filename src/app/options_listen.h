/*
 * options_listen: the addresses of EYES_LISTEN. Names are not looked up: an address is a literal,
 * "localhost" (both loopback addresses) or "*" (both wildcards).
 */
#ifndef APP_OPTIONS_LISTEN_H
#define APP_OPTIONS_LISTEN_H

#include "app/options.h"

/* Comma-separated ADDR[:PORT]; `port` where none is named. */
bool options_listen_parse(struct options_listen list[OPTIONS_LISTEN], unsigned *count,
    const char *text, uint16_t port, struct err *err) __attribute__((warn_unused_result));

#endif
