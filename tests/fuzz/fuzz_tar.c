/* Members of tar archives: names end, no member gives more bytes than there are, and what is written is read again. */
#include <stdlib.h>
#include <string.h>

#include "snapshot/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good)
{
    if (!good)
        abort();
}

struct input {
    struct td_slice left;
    size_t piece;
};

static int read_some(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct input *in = ctx;
    (void)err;
    *ret_n = n < in->left.n ? n : in->left.n;
    *ret_n = *ret_n < in->piece ? *ret_n : in->piece;
    if (*ret_n)
        memcpy(p, in->left.p, *ret_n);
    in->left = td_sub(in->left, *ret_n, in->left.n);
    return TD_OK;
}

/* The member, written by us, is the same. */
static void check_again(const struct tar_member *m)
{
    struct buf b = {0};
    struct tar_member again;
    struct tar_reader r;
    struct error err;
    tar_put_file(&b, m->name, m->bytes, 0);
    struct input in = {buf_slice(&b), SIZE_MAX};
    tar_reader_init(&r, read_some, &in);
    check(tar_next(&r, &again, &err) == 1 && strcmp(again.name, m->name) == 0 && again.bytes == m->bytes && again.type == '0');
    tar_reader_clear(&r);
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {td_bytes(data, n), n ? 1 + data[0] * (size_t)8 : 1};
    struct tar_member m;
    struct tar_reader r;
    struct error err;
    uint8_t bytes[700];
    int status;
    tar_reader_init(&r, read_some, &in);
    while ((status = tar_next(&r, &m, &err)) == 1) {
        uint64_t read = 0;
        size_t got;
        check(memchr(m.name, 0, sizeof(m.name)) && m.bytes <= INT64_MAX);
        check_again(&m);
        if (m.bytes % 3 == 0) /* others are skipped */
            while ((status = tar_read(&r, bytes, sizeof(bytes), &got, &err)) == TD_OK && got)
                read += got;
        check(read <= n && (status < 0 || m.bytes % 3 || read == m.bytes));
        if (status < 0)
            break;
    }
    check(r.offset <= n);
    tar_reader_clear(&r);
    return 0;
}
