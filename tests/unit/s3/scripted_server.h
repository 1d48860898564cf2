/* An S3 service that answers by a script: to requests whose first line has some text, with what the test says. All that was asked is kept
 * as text, but for large bodies. A thread for each connection. */
#ifndef TESTS_S3_SCRIPTED_SERVER_H
#define TESTS_S3_SCRIPTED_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define CUT "cut"     /* ends the connection without an answer */
#define STALL "stall" /* answers only when the server is stopped */
enum { SCRIPTED_KEPT = 4 << 10 };

struct scripted_rule {
    const char *asked;  /* stands in "PUT /bucket/key?partNumber=1" */
    const char *answer; /* "404 Not Found", header lines, an empty line, a body; lines end with \n. Content-Length comes by itself, and
                         * "X-Delay-Ms: 50" is obeyed */
    unsigned times;     /* 0: always */
};

struct scripted_server {
    int fd;
    unsigned port;
    pthread_t thread;
    atomic_uint open;
    atomic_bool stopping;
    pthread_mutex_t lock; /* of what follows */
    struct scripted_rule rules[64];
    size_t rule_n;
    char asked[64 << 10]; /* heads of requests and small bodies, one after the other */
    size_t asked_n;
};

struct scripted_connection {
    struct scripted_server *server;
    int fd;
    char *text;
    size_t n, room;
};

static inline bool scripted_read(struct scripted_connection *c, size_t n)
{
    while (c->n < n) {
        if (c->room < n + 65536)
            c->text = realloc(c->text, c->room = n + 65536);
        ssize_t got = recv(c->fd, c->text + c->n, c->room - c->n - 1, 0);
        if (got <= 0)
            return false;
        c->n += (size_t)got;
        c->text[c->n] = 0;
    }
    return true;
}

static inline size_t scripted_head(struct scripted_connection *c)
{
    for (;;) {
        const char *end = c->n ? strstr(c->text, "\r\n\r\n") : NULL;
        if (end)
            return (size_t)(end - c->text) + 4;
        if (!scripted_read(c, c->n + 1))
            return 0;
    }
}

static inline const char *scripted_choose(struct scripted_server *s, const char *head, size_t n)
{
    char line[16384];
    const char *answer = "500 Unexpected\n\nnobody expected this";
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(head, "\r"), head);
    char *version = strstr(line, " HTTP/");
    if (version)
        *version = 0;
    pthread_mutex_lock(&s->lock);
    if (n < sizeof(s->asked) - s->asked_n - 1) {
        for (size_t i = 0; i < n; i++)
            s->asked[s->asked_n++] = head[i] ? head[i] : '0'; /* it stays one text */
        s->asked[s->asked_n] = 0;
    }
    for (size_t i = 0; i < s->rule_n; i++) {
        struct scripted_rule *r = &s->rules[i];
        if (!r->asked || !strstr(line, r->asked))
            continue;
        answer = r->answer;
        if (r->times && !--r->times)
            r->asked = NULL;
        break;
    }
    pthread_mutex_unlock(&s->lock);
    return answer;
}

static inline bool scripted_answer(struct scripted_connection *c)
{
    size_t head = scripted_head(c);
    if (!head)
        return false;
    bool is_head = strncmp(c->text, "HEAD ", 5) == 0;
    const char *length = strcasestr(c->text, "\r\ncontent-length:");
    size_t body = length && length < c->text + head ? strtoul(length + 17, NULL, 10) : 0;
    if (!scripted_read(c, head + body))
        return false;
    const char *answer = scripted_choose(c->server, c->text, body < SCRIPTED_KEPT ? head + body : head);
    const char *delay = strstr(answer, "\nX-Delay-Ms: ");
    if (delay)
        usleep((useconds_t)strtoul(delay + 13, NULL, 10) * 1000);
    if (strcmp(answer, CUT) == 0)
        return false;
    while (strcmp(answer, STALL) == 0 && !atomic_load(&c->server->stopping))
        usleep(1000);
    if (strcmp(answer, STALL) == 0)
        return false;
    char *out = NULL;
    size_t out_n = 0;
    const char *empty = strstr(answer, "\n\n"), *content = empty ? empty + 2 : answer + strlen(answer);
    FILE *f = open_memstream(&out, &out_n);
    fputs("HTTP/1.1 ", f);
    for (const char *p = answer; *p && p != (empty ? empty + 1 : NULL); p++)
        fputs(*p == '\n' ? "\r\n" : (const char[]){*p, 0}, f);
    if (!empty)
        fputs("\r\n", f);
    if (!strcasestr(answer, "content-length:"))
        fprintf(f, "Content-Length: %zu\r\n", strlen(content));
    fprintf(f, "\r\n%s", is_head ? "" : content);
    fclose(f);
    bool sent = send(c->fd, out, out_n, MSG_NOSIGNAL) == (ssize_t)out_n;
    /* A body that is shorter than was told is the end of the connection. */
    bool cut = strcasestr(answer, "content-length:") && !is_head;
    free(out);
    memmove(c->text, c->text + head + body, c->n - head - body + 1);
    c->n -= head + body;
    return sent && !cut;
}

static inline void *scripted_talk(void *ctx)
{
    struct scripted_connection *c = ctx;
    while (scripted_answer(c))
        ;
    close(c->fd);
    free(c->text);
    atomic_fetch_sub(&c->server->open, 1);
    free(c);
    return NULL;
}

static inline void *scripted_run(void *ctx)
{
    struct scripted_server *s = ctx;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        struct scripted_connection *c = calloc(1, sizeof(*c));
        pthread_t thread;
        *c = (struct scripted_connection){.server = s, .fd = fd};
        atomic_fetch_add(&s->open, 1);
        if (pthread_create(&thread, NULL, scripted_talk, c) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

static inline bool scripted_start(struct scripted_server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&address, n) != 0 || listen(s->fd, 64) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&address, &n) != 0)
        return false;
    s->port = ntohs(address.sin_port);
    return pthread_create(&s->thread, NULL, scripted_run, s) == 0;
}

/* After all clients have closed their connections. */
static inline void scripted_stop(struct scripted_server *s)
{
    atomic_store(&s->stopping, true);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    while (atomic_load(&s->open))
        usleep(1000);
    pthread_mutex_destroy(&s->lock);
}

/* A new script; what was asked is forgotten. */
static inline void scripted_begin(struct scripted_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->rule_n = s->asked_n = 0;
    s->asked[0] = 0;
    pthread_mutex_unlock(&s->lock);
}

static inline void scripted_on(struct scripted_server *s, const char *asked, const char *answer, unsigned times)
{
    pthread_mutex_lock(&s->lock);
    if (s->rule_n < sizeof(s->rules) / sizeof(s->rules[0]))
        s->rules[s->rule_n++] = (struct scripted_rule){asked, answer, times};
    pthread_mutex_unlock(&s->lock);
}

/* How often something stands in what was asked. */
static inline unsigned scripted_count(struct scripted_server *s, const char *text)
{
    unsigned n = 0;
    pthread_mutex_lock(&s->lock);
    for (const char *at = s->asked; (at = strstr(at, text)); at += strlen(text))
        n++;
    pthread_mutex_unlock(&s->lock);
    return n;
}

#endif
