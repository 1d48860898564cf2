/* What a client keeps. Only for the files of the HTTP client. */
#ifndef NET_HTTP_CLIENT_INTERNAL_H
#define NET_HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "net/http_client.h"

struct http_client {
    CURL *easy;
    CURLM *multi; /* has the connections */
    char *url, *ca, *agent;
    char *authorization; /* the whole field; NULL: no token */
    unsigned connect_s, idle_s;
    const atomic_bool *cancel;
};

#endif
