#include "websocket_call.h"

enum { PIECE = 8192 };

static void set_text(const struct ws_out *out, struct td_call *call, unsigned field, struct td_slice value)
{
    if (value.n && ws_wants(out, field))
        out->ws->host->set_bytes(call, field, value);
}

static void set_number(const struct ws_out *out, struct td_call *call, unsigned field, uint64_t value)
{
    if (ws_wants(out, field))
        out->ws->host->set_u64(call, field, value);
}

void ws_message_begin(const struct ws_out *out, struct ws_message *m, int dir, const struct ws_frame *frame, uint8_t *preview)
{
    const struct td_host *host = out->ws->host;
    memset(m, 0, sizeof(*m));
    m->open = true;
    m->opcode = frame->opcode;
    m->compressed = frame->rsv & 4;
    m->preview = preview;
    m->call = host->call(out->conn);
    set_text(out, m->call, F_URL, out->url);
    set_text(out, m->call, F_PATH, out->path);
    set_text(out, m->call, F_QUERY_STRING, out->query);
    set_text(out, m->call, F_HOST, out->host);
    set_text(out, m->call, F_EXTENSIONS, out->extensions);
    set_number(out, m->call, F_OPCODE, m->opcode);
    set_number(out, m->call, dir == TD_CLIENT ? F_REQUEST : F_RESPONSE, 1);
    /* A message whose beginning was lost is nobody's, and maybe compressed. */
    m->broken = m->partial = m->opcode == WS_CONTINUATION;
    if (m->opcode == WS_TEXT && out->subprotocol.n && m->call)
        m->child = host->sub_open(out->conn, m->call, "websocket.message", out->subprotocol);
    if (m->child) /* which may read it, even if nobody else does */
        host->set_bytes(m->call, F_SUBPROTOCOL, out->subprotocol);
    else
        set_text(out, m->call, F_SUBPROTOCOL, out->subprotocol);
}

/* ---- Content --------------------------------------------------------------------------------------------------------- */

static void keep(const struct ws_out *out, struct ws_message *m, int dir, struct td_slice plain)
{
    unsigned field = dir == TD_CLIENT ? F_REQUEST_BODY : F_RESPONSE_BODY;
    uint64_t max = out->ws->config->max_message;
    if (!ws_wants(out, field) || m->kept >= max)
        return;
    plain = td_sub(plain, 0, plain.n < max - m->kept ? plain.n : (size_t)(max - m->kept));
    out->ws->host->append_bytes(m->call, field, plain);
    m->kept += plain.n;
}

/* Content as it was before it was compressed. */
static void add_plain(const struct ws_out *out, struct ws_message *m, int dir, struct td_slice plain, uint64_t begin, uint64_t end)
{
    struct td_slice start = td_sub(plain, 0, WS_PREVIEW - m->preview_n);
    m->size += plain.n;
    if (plain.n == 0)
        return;
    if (m->opcode == WS_TEXT)
        (void)utf8_add(&m->utf8, plain);
    if (start.n)
        memcpy(m->preview + m->preview_n, start.p, start.n);
    m->preview_n += start.n;
    keep(out, m, dir, plain);
    if (m->child && out->ws->host->sub_data(m->child, dir, plain, begin, end) != TD_OK) {
        out->ws->host->sub_close(m->child, TD_CLOSE_LOST);
        m->child = NULL;
    }
}

static void break_off(struct ws_message *m, struct ws_deflate *deflate)
{
    m->broken = m->partial = true;
    if (m->compressed)
        ws_deflate_forget(deflate);
}

/* Has this direction made so much out of so little that more of it is not worth the work? */
static bool is_bomb(const struct ws_out *out, struct ws_message *m, struct ws_deflate *deflate)
{
    uint64_t usual = WS_FREE + m->wire * WS_USUAL_RATIO, most = out->ws->config->max_message * 4;
    uint64_t excess = m->size > usual ? m->size - usual : 0;
    if (excess > m->excess) {
        deflate->excess += excess - m->excess;
        m->excess = excess;
    }
    return m->size > WS_MAX_INFLATED || (excess && deflate->excess > (most > WS_MAX_EXCESS ? most : WS_MAX_EXCESS));
}

static void add_compressed(const struct ws_out *out, struct ws_message *m, int dir, struct ws_deflate *deflate, struct td_slice in,
                           uint64_t end)
{
    uint8_t room[PIECE];
    enum ws_inflated result = WS_INFLATED_ROOM;
    while (result == WS_INFLATED_ROOM) {
        size_t n = sizeof(room);
        result = ws_inflate(deflate, &in, room, &n);
        add_plain(out, m, dir, td_bytes(room, n), end - 1, end);
        if (is_bomb(out, m, deflate))
            result = WS_INFLATED_BAD;
    }
    if (result == WS_INFLATED_BAD)
        break_off(m, deflate);
}

void ws_message_add(const struct ws_out *out, struct ws_message *m, int dir, struct ws_deflate *deflate, struct td_slice payload,
                    uint64_t begin)
{
    m->wire += payload.n;
    if (m->broken || payload.n == 0)
        return;
    if (!m->compressed)
        add_plain(out, m, dir, payload, begin, begin + payload.n);
    else if (out->reads)
        add_compressed(out, m, dir, deflate, payload, begin + payload.n);
}

void ws_message_miss(const struct ws_out *out, struct ws_message *m, int dir, struct ws_deflate *deflate, uint64_t n)
{
    m->wire += n;
    if (m->child && out->ws->host->sub_gap(m->child, dir, n) != TD_OK) {
        out->ws->host->sub_close(m->child, TD_CLOSE_LOST);
        m->child = NULL;
    }
    break_off(m, deflate);
}

/* ---- The end --------------------------------------------------------------------------------------------------------- */

/* RFC 6455 section 5.5.1. */
static void set_close(const struct ws_out *out, struct ws_message *m)
{
    struct td_slice payload = td_bytes(m->preview, m->preview_n);
    struct utf8 utf8 = {0, 0, 0, false};
    unsigned code;
    if (payload.n < 2)
        return;
    code = (unsigned)payload.p[0] << 8 | payload.p[1];
    payload = td_sub(payload, 2, payload.n);
    set_number(out, m->call, F_CLOSE_CODE, code);
    if (ws_is_close_code(code) && code < 3000)
        set_number(out, m->call, F_CLOSE_NAME, code);
    set_text(out, m->call, F_CLOSE_REASON, payload);
    if (!utf8_add(&utf8, payload) || !utf8_is_whole(&utf8))
        set_number(out, m->call, F_INVALID_UTF8, 1);
}

/* Text, or what could be: the beginning of it. */
static void set_preview(const struct ws_out *out, struct ws_message *m, int dir)
{
    struct utf8 utf8 = {0, 0, 0, false};
    struct td_slice text = td_bytes(m->preview, m->preview_n);
    if (m->opcode == WS_CLOSE)
        text = td_sub(text, 2, text.n);
    if (m->size > m->preview_n)
        text = utf8_whole_characters(text);
    if (m->opcode != WS_TEXT && (!ws_is_printable(text) || !utf8_add(&utf8, text) || !utf8_is_whole(&utf8)))
        return;
    set_text(out, m->call, dir == TD_CLIENT ? F_REQUEST_DATA : F_RESPONSE_DATA, text);
}

void ws_message_end(const struct ws_out *out, struct ws_message *m, int dir, struct ws_deflate *deflate, uint64_t end, bool cut)
{
    uint32_t flags = cut || m->opcode == WS_CONTINUATION ? dir == TD_CLIENT ? TD_REQUEST_CUT : TD_RESPONSE_CUT : 0;
    bool known = out->reads || !m->compressed;
    if (m->compressed && cut)
        ws_deflate_forget(deflate);
    else if (m->compressed && !m->broken && out->reads) /* what the sender has left out (RFC 7692 section 7.2.2) */
        add_compressed(out, m, dir, deflate, td_bytes("\x00\x00\xff\xff", 4), end);
    if (!m->compressed || (!m->broken && known))
        set_number(out, m->call, dir == TD_CLIENT ? F_REQUEST_LENGTH : F_RESPONSE_LENGTH, m->compressed ? m->size : m->wire);
    if (m->compressed)
        set_number(out, m->call, F_COMPRESSED_LENGTH, m->wire);
    set_number(out, m->call, F_FRAMES, m->frames);
    if (m->opcode == WS_CLOSE && !m->broken && !cut)
        set_close(out, m);
    set_preview(out, m, dir);
    if (m->opcode == WS_TEXT && (m->utf8.bad || (!cut && !m->broken && m->utf8.left)))
        set_number(out, m->call, F_INVALID_UTF8, 1);
    if (m->child) {
        out->ws->host->sub_eof(m->child, dir);
        out->ws->host->sub_close(m->child, cut ? TD_CLOSE_END : TD_CLOSE_FIN);
    }
    if (m->call)
        out->ws->host->commit(m->call, flags | TD_ONE_WAY | (m->partial ? TD_PARTIAL : 0));
    memset(m, 0, sizeof(*m));
}
