/* Why there is no whole answer, and what an answer's status means. */
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>

#include "cloud_private.h"

int cloud_classify(unsigned status)
{
    if (status >= 200 && status < 300)
        return TD_OK;
    switch (status) {
    case 401:
    case 403: return TD_E_DENIED;
    case 404:
    case 410: return TD_E_NOT_FOUND;
    case 408:
    case 409:
    case 412:
    case 429: return TD_E_RETRY;
    case 413:
    case 416:
    case 507: return TD_E_LIMIT;
    case 501:
    case 505: return TD_E_UNSUPPORTED;
    default: return status >= 500 && status < 600 ? TD_E_RETRY : TD_E_INTERNAL;
    }
}

void cloud_set_failure(struct cloud_exchange *x, int status, const char *fmt, ...)
{
    va_list args;
    if (x->failure != TD_OK)
        return;
    x->failure = status;
    va_start(args, fmt);
    vsnprintf(x->why, sizeof(x->why), fmt, args);
    va_end(args);
}

struct meaning {
    CURLcode code;
    int status;
    const char *text; /* NULL: libcurl's */
};

static const struct meaning meanings[] = {
    {CURLE_COULDNT_CONNECT, TD_E_RETRY, "no connection: is it running, does a firewall stand in between?"},
    {CURLE_OPERATION_TIMEDOUT, TD_E_RETRY, "no connection in time"},
    {CURLE_SEND_ERROR, TD_E_RETRY, "the connection broke while sending"},
    {CURLE_RECV_ERROR, TD_E_RETRY, "the connection broke while receiving"},
    {CURLE_GOT_NOTHING, TD_E_RETRY, "the connection was closed without an answer"},
    {CURLE_PARTIAL_FILE, TD_E_RETRY, "the connection was closed before the answer's end"},
    {CURLE_SSL_SHUTDOWN_FAILED, TD_E_RETRY, NULL},
    {CURLE_SSL_CACERT_BADFILE, TD_E_CONFIG, "the CA file cannot be used: it must hold certificates in PEM form"},
    {CURLE_SSL_CERTPROBLEM, TD_E_CONFIG, NULL},
    {CURLE_SSL_CIPHER, TD_E_DENIED, NULL},
    {CURLE_URL_MALFORMAT, TD_E_CONFIG, "not a URL that can be asked"},
    {CURLE_UNSUPPORTED_PROTOCOL, TD_E_CONFIG, "what answers there does not speak HTTP"},
    {CURLE_WEIRD_SERVER_REPLY, TD_E_CONFIG, "what answers there does not speak HTTP"},
    {CURLE_PROXY, TD_E_RETRY, "the proxy refused the connection"},
    {CURLE_OUT_OF_MEMORY, TD_E_NOMEM, "out of memory"},
    {CURLE_BAD_FUNCTION_ARGUMENT, TD_E_INTERNAL, "a header that cannot be sent"},
};

/* libcurl does not tell whether a name does not exist or cannot be looked up just now; whoever answered it so a moment ago does. */
static void explain_name(struct cloud_running *r, bool of_proxy)
{
    const char *url = of_proxy ? r->http->proxy : r->x->url;
    CURLU *parsed = curl_url();
    char *host = NULL;
    struct addrinfo *found = NULL;
    int error = EAI_AGAIN;
    if (parsed && url && curl_url_set(parsed, CURLUPART_URL, url, CURLU_DEFAULT_SCHEME) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        error = getaddrinfo(host, NULL, NULL, &found);
        if (error == 0)
            freeaddrinfo(found);
    }
    if (error == EAI_NONAME)
        cloud_set_failure(r->x, TD_E_CONFIG, "there is no host %.150s%s", host, of_proxy ? ", which is to be the proxy" : "");
    else
        cloud_set_failure(r->x, TD_E_RETRY, "the name %.100s cannot be looked up: %s", host ? host : "of the host",
                          error ? gai_strerror(error) : "it could be a moment later");
    curl_free(host);
    curl_url_cleanup(parsed);
}

/* A handshake that did not come to its end: cut off, or refused by one side. */
static void explain_handshake(struct cloud_running *r)
{
    bool cut = strstr(r->why, "SYSCALL") || strstr(r->why, "reset") || strstr(r->why, "unexpected eof") || !r->why[0];
    cloud_set_failure(r->x, cut ? TD_E_RETRY : TD_E_DENIED, "no secure connection: %.150s%s", r->why,
                      strstr(r->why, "wrong version number") ? "; is this port for http?" : "");
}

/* What speaks no HTTP is the wrong place; but not where HTTP was spoken before. */
static int status_of(const struct cloud_running *r, const struct meaning *m)
{
    bool no_http = m->code == CURLE_UNSUPPORTED_PROTOCOL || m->code == CURLE_WEIRD_SERVER_REPLY;
    return no_http && atomic_load_explicit(&r->http->spoke_http, memory_order_relaxed) ? TD_E_RETRY : m->status;
}

void cloud_explain(struct cloud_running *r, int code)
{
    struct cloud_exchange *x = r->x;
    if (code == CURLE_OK || x->stopped || x->failure != TD_OK)
        return;
    bool of_proxy = code == CURLE_COULDNT_RESOLVE_PROXY;
    /* The name of a proxy that the environment tells stands only in libcurl's text. */
    if (code == CURLE_COULDNT_RESOLVE_HOST || (of_proxy && strcmp(r->http->proxy, "env") != 0))
        explain_name(r, of_proxy);
    if (code == CURLE_SSL_CONNECT_ERROR)
        explain_handshake(r);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        cloud_set_failure(x, TD_E_DENIED, "its certificate is not trusted: %.150s; name the authority's file in caFile", r->why);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if ((int)meanings[i].code == code && meanings[i].text)
            cloud_set_failure(x, status_of(r, &meanings[i]), "%s%s%.100s%s", meanings[i].text, r->why[0] ? " (" : "", r->why,
                              r->why[0] ? ")" : "");
        else if ((int)meanings[i].code == code)
            cloud_set_failure(x, meanings[i].status, "%.200s", r->why[0] ? r->why : curl_easy_strerror((CURLcode)code));
    cloud_set_failure(x, TD_E_RETRY, "%.200s", r->why[0] ? r->why : curl_easy_strerror((CURLcode)code));
}
