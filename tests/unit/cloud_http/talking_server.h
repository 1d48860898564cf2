/* A server for tests of HTTP clients that does what a path says, also what no server should do. A thread for each connection. */
#ifndef TESTS_CLOUD_HTTP_TALKING_SERVER_H
#define TESTS_CLOUD_HTTP_TALKING_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct talking_server {
    int fd;
    unsigned port;
    pthread_t thread;
    atomic_uint connections, open;
};

struct talk {
    struct talking_server *server;
    int fd;
    char *text; /* of the request: head and body */
    size_t n, room;
};

static inline void talk_say(const struct talk *t, const char *text, size_t n)
{
    while (n) {
        ssize_t sent = send(t->fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        n -= (size_t)sent;
    }
}

static inline void talk_puts(const struct talk *t, const char *text)
{
    talk_say(t, text, strlen(text));
}

/* Reads until there are `n` bytes. */
static inline bool talk_read(struct talk *t, size_t n)
{
    while (t->n < n) {
        if (t->room < n + 65536)
            t->text = realloc(t->text, t->room = n + 65536);
        ssize_t got = recv(t->fd, t->text + t->n, t->room - t->n - 1, 0);
        if (got <= 0)
            return false;
        t->n += (size_t)got;
        t->text[t->n] = 0;
    }
    return true;
}

static inline size_t talk_head(struct talk *t)
{
    for (;;) {
        const char *end = t->n ? strstr(t->text, "\r\n\r\n") : NULL;
        if (end)
            return (size_t)(end - t->text) + 4;
        if (!talk_read(t, t->n + 1) || t->text[0] == 0x16) /* a TLS handshake, which this server does not know */
            return 0;
    }
}

/* Answers one request; false: the connection ends. */
static inline bool talk_answer(struct talk *t)
{
    char path[256] = "", line[256];
    size_t head = talk_head(t);
    if (!head)
        return false;
    size_t begin = strcspn(t->text, " ") + 1, n = strcspn(t->text + begin, " ");
    snprintf(path, sizeof(path), "%.*s", (int)n, t->text + begin);
    if (strncmp(path, "/refuse-early", 13) == 0) {
        talk_puts(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnever");
        shutdown(t->fd, SHUT_WR);
        while (talk_read(t, t->n + 1))
            t->n = 0;
        return false;
    }
    if (strncmp(path, "/deaf", 5) == 0) {
        sleep(2);
        return false;
    }
    const char *length = strcasestr(t->text, "\r\ncontent-length:");
    size_t body = length && length < t->text + head ? strtoul(length + 17, NULL, 10) : 0;
    if (!talk_read(t, head + body))
        return false;
    if (strncmp(path, "/echo", 5) == 0) {
        snprintf(line, sizeof(line), "HTTP/1.1 200 OK\r\nX-Empty:\r\nx-mixed-CASE:  a b \t\r\nContent-Length: %zu\r\n\r\n", head + body);
        talk_puts(t, line);
        if (strncmp(t->text, "HEAD", 4) != 0)
            talk_say(t, t->text, head + body);
    } else if (strncmp(path, "/status/", 8) == 0) {
        snprintf(line, sizeof(line), "HTTP/1.1 %.3s So\r\nContent-Length: 3\r\n\r\nwhy", path + 8);
        talk_puts(t, line);
    } else if (strcmp(path, "/interim") == 0) {
        talk_puts(t, "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\nHTTP/1.1 204 Nothing\r\nX-Late: 1\r\n\r\n");
    } else if (strcmp(path, "/cut-body") == 0) {
        talk_puts(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin");
        return false;
    } else if (strcmp(path, "/cut-head") == 0) {
        talk_puts(t, "HTTP/1.1 200 OK\r\nX-One: 1\r\n"); /* an orderly end */
        return false;
    } else if (strcmp(path, "/cut-interim") == 0) {
        talk_puts(t, "HTTP/1.1 103 Early\r\nX-One: 1\r\n\r\n");
        return false;
    } else if (strcmp(path, "/trickle") == 0) {
        talk_puts(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        for (int i = 0; i < 100; i++) {
            usleep(30000);
            talk_puts(t, "x");
        }
        return false;
    } else if (strcmp(path, "/slow") == 0) {
        sleep(2);
        return false;
    } else if (strcmp(path, "/drip") == 0) {
        talk_puts(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for (int i = 0; i < 10; i++) {
            usleep(60000);
            talk_puts(t, "x");
        }
    } else if (strcmp(path, "/long-head") == 0) {
        talk_puts(t, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 3000; i++)
            talk_puts(t, "X-Again: 0123456789012345678901234567890\r\n");
        talk_puts(t, "Content-Length: 0\r\n\r\n");
    } else if (strcmp(path, "/no-http") == 0) {
        talk_puts(t, "SSH-2.0-something\r\n");
        return false;
    } else if (strncmp(path, "/bytes/", 7) == 0) {
        size_t n_bytes = strtoul(path + 7, NULL, 10);
        char *bytes = calloc(1, n_bytes + 1);
        snprintf(line, sizeof(line), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n_bytes);
        talk_puts(t, line);
        talk_say(t, bytes, n_bytes);
        free(bytes);
    } else if (strcmp(path, "/then-close") == 0) {
        talk_puts(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); /* and does not say so */
        return false;
    } else {
        return false; /* "/cut": without a word */
    }
    memmove(t->text, t->text + head + body, t->n - head - body + 1);
    t->n -= head + body;
    return true;
}

static inline void *talk_run(void *ctx)
{
    struct talk *t = ctx;
    while (talk_answer(t))
        ;
    close(t->fd);
    free(t->text);
    atomic_fetch_sub(&t->server->open, 1);
    free(t);
    return NULL;
}

static inline void *talking_server_run(void *ctx)
{
    struct talking_server *s = ctx;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        struct talk *t = calloc(1, sizeof(*t));
        pthread_t thread;
        *t = (struct talk){.server = s, .fd = fd};
        atomic_fetch_add(&s->connections, 1);
        atomic_fetch_add(&s->open, 1);
        if (pthread_create(&thread, NULL, talk_run, t) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

static inline bool talking_server_start(struct talking_server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    memset(s, 0, sizeof(*s));
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&address, n) != 0 || listen(s->fd, 64) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&address, &n) != 0)
        return false;
    s->port = ntohs(address.sin_port);
    return pthread_create(&s->thread, NULL, talking_server_run, s) == 0;
}

/* After all clients have closed their connections. */
static inline void talking_server_stop(struct talking_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    while (atomic_load(&s->open))
        usleep(1000);
}

#endif
