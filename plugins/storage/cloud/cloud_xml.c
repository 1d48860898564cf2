/* XML answers: flat documents, element by element. */
#include "cloud_http.h"

#include <stdlib.h>

#include <expat.h>

enum { MAX_DEPTH = 16, MAX_XML_TEXT = 64 << 10, MAX_PATH = 512 };

struct reader {
    XML_Parser parser;
    const char *root; /* NULL: any */
    cloud_xml_fn *each;
    void *ctx;
    int status;
    unsigned depth;            /* of elements that are open */
    size_t lengths[MAX_DEPTH]; /* of the path, before each of them */
    char path[MAX_PATH];
    size_t path_n;
    bool leaf; /* the innermost has no children so far */
    struct cloud_text text;
};

static void stop(struct reader *r, int status)
{
    if (r->status == TD_OK)
        r->status = status;
    XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL begin_element(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = ctx;
    (void)attributes;
    size_t n = strlen(name), before = r->path_n;
    if (r->status != TD_OK)
        return;
    bool other = !r->depth && r->root && strcmp(name, r->root) != 0;
    if (other || r->depth == MAX_DEPTH || n >= MAX_PATH - 1 || before + n >= MAX_PATH - 1) {
        stop(r, TD_E_CORRUPT);
        return;
    }
    if (r->depth) { /* the root has no place in the path */
        if (before)
            r->path[r->path_n++] = '/';
        memcpy(r->path + r->path_n, name, n + 1);
        r->path_n += n;
    }
    r->lengths[r->depth++] = before;
    r->leaf = true;
    r->text.n = 0;
}

static void XMLCALL add_text(void *ctx, const XML_Char *text, int n)
{
    struct reader *r = ctx;
    if (r->status != TD_OK || !r->leaf)
        return;
    if ((size_t)n > MAX_XML_TEXT - r->text.n) {
        stop(r, TD_E_CORRUPT);
        return;
    }
    cloud_put(&r->text, text, (size_t)n);
    if (r->text.failed)
        stop(r, TD_E_NOMEM);
}

static void XMLCALL end_element(void *ctx, const XML_Char *name)
{
    struct reader *r = ctx;
    (void)name;
    if (r->status != TD_OK)
        return;
    int status = r->each(r->ctx, r->path, r->leaf ? cloud_cstr(&r->text) : NULL);
    if (status != 0) {
        stop(r, status);
        return;
    }
    r->path_n = r->lengths[--r->depth];
    r->path[r->path_n] = 0;
    r->leaf = false;
    r->text.n = 0;
}

static void XMLCALL refuse_type(void *ctx, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal)
{
    (void)name, (void)sysid, (void)pubid, (void)internal;
    stop(ctx, TD_E_CORRUPT);
}

int cloud_xml(struct td_slice document, const char *root, cloud_xml_fn *each, void *ctx)
{
    /* Some servers send space while they do not know the answer yet, also before the declaration, where XML has none. */
    while (document.n && memchr(" \t\r\n", document.p[0], 4))
        document = td_sub(document, 1, document.n);
    if (!document.n || document.n > CLOUD_MAX_ANSWER)
        return TD_E_CORRUPT;
    struct reader *r = calloc(1, sizeof(*r));
    XML_Parser parser = r ? XML_ParserCreate(NULL) : NULL;
    if (!parser) {
        free(r);
        return TD_E_NOMEM;
    }
    *r = (struct reader){.parser = parser, .root = root, .each = each, .ctx = ctx};
    XML_SetUserData(parser, r);
    XML_SetElementHandler(parser, begin_element, end_element);
    XML_SetCharacterDataHandler(parser, add_text);
    XML_SetStartDoctypeDeclHandler(parser, refuse_type);
    enum XML_Status parsed = XML_Parse(parser, (const char *)document.p, (int)document.n, 1);
    int status = r->status;
    if (status == TD_OK && parsed != XML_STATUS_OK)
        status = XML_GetErrorCode(parser) == XML_ERROR_NO_MEMORY ? TD_E_NOMEM : TD_E_CORRUPT;
    XML_ParserFree(parser);
    cloud_text_clear(&r->text);
    free(r);
    return status;
}
