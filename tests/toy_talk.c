#include "toy_talk.h"

const struct peer A = {{10, 0, 0, 1}, 40000}, B = {{10, 0, 0, 2}, 7000};
struct rig rig;
struct traffic t;
struct talk k;
struct buf seen;

void toy_talk_open(void)
{
    static const struct td_plugin *const plugins[] = {&td_plugin_v1_toy, NULL};
    rig_open(&rig, plugins);
    rig.options.on_call = toy_put_call;
    toy_log(&seen);
}

void toy_talk_close(void)
{
    rig_close(&rig);
    buf_clear(&seen);
}

void start(void)
{
    traffic_init(&t);
    talk_open(&k, &t, A, B);
}

void client(const char *text)
{
    talk_send(&k, 0, td_str(text), 0);
}

void server(const char *text)
{
    talk_send(&k, 1, td_str(text), 0);
}

const char *run(void)
{
    buf_reset(&seen);
    const char *out = rig_run(&rig, buf_slice(&t.pcap));
    traffic_clear(&t);
    return out;
}
