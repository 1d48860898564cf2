/* A dissector made for tests: does what its bytes say, whatever harm that is. Its protocol is lines of the client's, "do WHAT"; each is a
 * call. "do nothing" and anything unknown is harmless. */
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tapedeck/plugin.h"

struct self {
    const struct td_host *host;
};

struct options {
    const char *hang; /* before anything is read: loop, sleep */
};

static const struct td_option options[] = {
    TD_STR_OPT(struct options, hang, "hang", "", "How it does not come to its begin: loop, sleep."),
};

static const struct td_field fields[] = {
    {"hostile_what", TD_STRING, TD_F_REQUEST | TD_F_TARGET, "What it was told to do.", {NULL, 0, 0}},
};

static const struct td_claim claims[] = {{TD_ON_TCP, 0, 0, NULL, NULL}};

static void loop(void)
{
    for (volatile int on = 1; on;)
        ;
}

static void sleep_long(void)
{
    nanosleep(&(struct timespec){3600, 0}, NULL);
}

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    const struct options *o = config;
    (void)inst;
    if (strcmp(o->hang, "loop") == 0)
        loop();
    if (strcmp(o->hang, "sleep") == 0)
        sleep_long();
    struct self *self = malloc(sizeof(*self));
    if (!self)
        return TD_E_NOMEM;
    self->host = host;
    *ret_self = self;
    return TD_OK;
}

static void destroy(void *self)
{
    free(self);
}

static int probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes)
{
    (void)self, (void)flow;
    return dir == TD_CLIENT && bytes.n >= 3 && memcmp(bytes.p, "do ", 3) == 0 ? 95 : 0;
}

static int open_connection(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **state)
{
    (void)conn, (void)flow, (void)arena;
    *state = (void *)(uintptr_t)self;
    return TD_OK;
}

/* ---- Harm ---- */

static void crash(void)
{
    volatile int *volatile nowhere = NULL; /* volatile itself, so that no compiler sees through it */
    *nowhere = 1;
}

/* Volatile, or a compiler may see that it never ends and say so, or make something else of it. */
static int overflow(volatile int depth)
{
    volatile char room[4096];
    room[0] = (char)depth;
    return depth < 1 << 30 ? overflow(depth + 1) + room[0] : 0;
}

/* Without the processor, in a system call that is allowed. */
static void wait_for_nobody(void)
{
    int nobody = 0;
    for (;;)
        syscall(SYS_futex, &nobody, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void eat(void)
{
    enum { BITE = 1 << 20, MOST = 16 << 10 };
    for (int i = 0; i < MOST; i++) {
        void *p = malloc(BITE);
        if (!p)
            return;
        memset(p, 1, BITE);
        *(void *volatile *)&p = p; /* kept */
    }
}

static void eat_and_crash(void)
{
    eat();
    crash();
}

static void open_file(void)
{
    char text[64];
    int fd = open("/etc/passwd", O_RDONLY);
    if (fd >= 0 && read(fd, text, sizeof(text)) > 0)
        _exit(42);
}

static void write_file(void)
{
    (void)!open("/tmp/tapedeck-hostile", O_WRONLY | O_CREAT, 0600);
}

static void connect_socket(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static void execute(void)
{
    execl("/bin/true", "true", (char *)NULL);
}

static void branch(void)
{
    if (fork() == 0)
        _exit(0);
}

static void signal_others(void)
{
    kill(getppid(), SIGTERM);
}

static void map_code(void)
{
    (void)!mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Memory that is shared with the parent: a file without a name. */
static void resize(void)
{
    struct stat info;
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 0 && ftruncate(fd, 16 << 20) == 0)
            crash();
}

static void erase_log(void)
{
    (void)!ftruncate(STDERR_FILENO, 0);
}

static void overwrite_log(void)
{
    (void)lseek(STDERR_FILENO, 0, SEEK_SET);
}

static void map_stack(void)
{
    (void)!mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
}

/* Beyond its end, as far as nobody has room for; of every file that may be written, but not the log. */
static void grow(void)
{
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        (void)!pwrite(fd, "", 1, 1ll << 30);
}

static void reserve(void)
{
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        (void)!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 64 << 20);
}

static void leave(void)
{
    exit(0);
}

static const struct {
    const char *word;
    void (*act)(void);
} deeds[] = {
    {"crash", crash},        {"loop", loop},        {"sleep", sleep_long},        {"eat", eat},         {"wait", wait_for_nobody},
    {"open", open_file},     {"write", write_file}, {"connect", connect_socket},  {"exec", execute},    {"fork", branch},
    {"kill", signal_others}, {"code", map_code},    {"gorge", eat_and_crash},     {"exit", leave},      {"abort", abort},
    {"resize", resize},      {"erase", erase_log},  {"overwrite", overwrite_log}, {"stack", map_stack}, {"grow", grow},
    {"reserve", reserve},
};

static void do_what(struct td_slice what)
{
    if (td_eq(what, TD_LIT("overflow")))
        (void)overflow(0);
    for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
        if (td_eq(what, td_str(deeds[i].word)))
            deeds[i].act();
}

/* ---- Lines ---- */

static struct td_step data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    const struct td_host *host = ((struct self *)state)->host;
    const uint8_t *end = dir == TD_CLIENT ? memchr(chunk->bytes.p, '\n', chunk->bytes.n) : NULL;
    if (dir != TD_CLIENT)
        return td_used(chunk->bytes.n);
    if (!end || end - chunk->bytes.p < 3)
        return td_need(0, chunk->bytes.n + 1);
    size_t n = (size_t)(end - chunk->bytes.p);
    struct td_slice what = td_sub(chunk->bytes, 3, n);
    struct td_call *call = host->call(conn);
    host->set_bytes(call, 0, what);
    host->mark(call, dir, chunk->offset, chunk->offset + n + 1);
    do_what(what);
    host->commit(call, 0);
    return td_need(n + 1, 1);
}

static void close_connection(void *state, struct td_conn *conn, int why)
{
    (void)state, (void)conn, (void)why;
}

static const struct td_dissector dissector = {
    .size = sizeof(dissector),
    .max_probe = 3,
    .fields = TD_TABLE(fields),
    .claims = TD_TABLE(claims),
    .probe = probe,
    .open = open_connection,
    .data = data,
    .close = close_connection,
};
static const struct td_component component = {
    .size = sizeof(component),
    .kind = TD_KIND_DISSECTOR,
    .name = "hostile",
    .summary = "Does harm",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct options),
    .create = create,
    .destroy = destroy,
    .ops = &dissector,
};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(hostile) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "hostile",
    .version = "1.0",
    .license = "Apache-2.0",
    .components = components,
};
