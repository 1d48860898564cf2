/* What the sandbox costs: `dissection TAPEDECK CAPTURE` dissects a capture in pairs, once with `TAPEDECK dissect -w` and once with
 * dissection_run(), and prints a JSON object: medians of processor time and the shortest wall times of both, in seconds, and how many
 * percent of the command's speed the job has by either. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dissect/dissection.h"

enum { PAIRS = 7 };

struct times {
    double processor[PAIRS], wall[PAIRS];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Of children that have ended; the job's own process hardly works. */
static double processor(void)
{
    struct rusage children, self;
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_SELF, &self);
    return seconds(children.ru_utime) + seconds(children.ru_stime) + seconds(self.ru_utime) + seconds(self.ru_stime);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run_command(const char *program, const char *capture, const char *out)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "dissect", "-q", "-w", out, capture, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s dissect failed\n", program);
        exit(1);
    }
}

static uint64_t run_job(const struct config *config, const char *capture, const char *folder)
{
    struct dissection_node node = {NULL, &capture, 1};
    struct dissection_request request = {
        .config = config, .nodes = &node, .node_count = 1, .out_dir = folder, .out_name = "job.calls", .payloads = true};
    struct dissection_result result = {0};
    struct error err;
    if (dissection_run(&request, &result, &err) != TD_OK || result.crashes) {
        fprintf(stderr, "the dissection failed: %s\n", err.text);
        exit(1);
    }
    return result.calls;
}

static void print_times(const char *name, struct times *t)
{
    qsort(t->processor, PAIRS, sizeof(double), compare);
    qsort(t->wall, PAIRS, sizeof(double), compare);
    printf("\"%s\":{\"processor\":%.3f,\"wall\":%.3f},", name, t->processor[PAIRS / 2], t->wall[0]);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/dissection_bench_XXXXXX", command_out[64], job_out[64];
    struct times command, job;
    struct config *config;
    struct error err;
    uint64_t calls = 0;
    if (argc == 3 && strcmp(argv[1], DISSECTION_VERB) == 0)
        return dissection_child((int)strtol(argv[2], NULL, 10));
    if (argc != 3 || !mkdtemp(folder) || config_load(NULL, &config, &err) != TD_OK) {
        fprintf(stderr, "usage: %s TAPEDECK CAPTURE\n", argv[0]);
        return 2;
    }
    char plugins[PATH_MAX + 16];
    const char *slash = strrchr(argv[1], '/');
    snprintf(plugins, sizeof(plugins), "%.*s/plugins", slash ? (int)(slash - argv[1]) : 1, slash ? argv[1] : ".");
    setenv("TAPEDECK_PLUGIN_PATH", plugins, 1);
    snprintf(command_out, sizeof(command_out), "%s/command.calls", folder);
    snprintf(job_out, sizeof(job_out), "%s/job.calls", folder);
    for (int i = -1; i < PAIRS; i++) { /* the first pair warms up */
        int at = i < 0 ? 0 : i;
        double begin = now(), busy = processor();
        run_command(argv[1], argv[2], command_out);
        command.wall[at] = now() - begin;
        command.processor[at] = processor() - busy;
        begin = now();
        busy = processor();
        calls = run_job(config, argv[2], folder);
        job.wall[at] = now() - begin;
        job.processor[at] = processor() - busy;
        unlink(command_out);
        unlink(job_out);
    }
    rmdir(folder);
    config_free(config);
    printf("{\"calls\":%llu,", (unsigned long long)calls);
    print_times("command", &command);
    print_times("job", &job);
    printf("\"percent_by_processor\":%.1f,\"percent_by_wall\":%.1f}\n", 100 * command.processor[PAIRS / 2] / job.processor[PAIRS / 2],
           100 * command.wall[0] / job.wall[0]);
    return 0;
}
