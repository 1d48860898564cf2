/* The words of a filter: CEL's tokens (langdef.md, "Syntax"), and those that only ours has: # comments, IPv4 addresses and
 * networks, hexadecimal bytes (16:03:01), and the words of Wireshark. Reads on demand and keeps nothing but its place. */
#ifndef FILTER_LEX_H
#define FILTER_LEX_H

#include "base/arena.h"
#include "filter/ast.h"
#include "filter/diagnostic.h"

enum filter_token_kind {
    FILTER_T_END,
    FILTER_T_NAME,
    FILTER_T_QUOTED_NAME, /* `in backticks` */
    FILTER_T_INT,         /* magnitude in u */
    FILTER_T_UINT,
    FILTER_T_DOUBLE,
    FILTER_T_STRING,
    FILTER_T_BYTES,
    FILTER_T_IP,   /* 10.0.0.1, as text */
    FILTER_T_CIDR, /* 10.0.0.0/8, as text */
    FILTER_T_LEFT_PAREN,
    FILTER_T_RIGHT_PAREN,
    FILTER_T_LEFT_BRACKET,
    FILTER_T_RIGHT_BRACKET,
    FILTER_T_LEFT_BRACE,
    FILTER_T_RIGHT_BRACE,
    FILTER_T_COMMA,
    FILTER_T_DOT,
    FILTER_T_RANGE, /* .. */
    FILTER_T_COLON,
    FILTER_T_QUESTION,
    FILTER_T_PLUS,
    FILTER_T_MINUS,
    FILTER_T_STAR,
    FILTER_T_SLASH,
    FILTER_T_PERCENT,
    FILTER_T_NOT,
    FILTER_T_AND,
    FILTER_T_OR,
    FILTER_T_EQ,
    FILTER_T_NE,
    FILTER_T_LT,
    FILTER_T_LE,
    FILTER_T_GT,
    FILTER_T_GE,
    FILTER_T_TILDE,
    FILTER_T_ALL_EQ, /* === */
    FILTER_T_ANY_NE  /* !== */
};

/* What a name is besides a name. */
enum filter_word {
    FILTER_W_NONE,
    FILTER_W_RESERVED, /* CEL's, for later */
    FILTER_W_TRUE,
    FILTER_W_FALSE,
    FILTER_W_NULL,
    FILTER_W_IN,
    FILTER_W_AND, /* from here on Wireshark's: words only where CEL has no name */
    FILTER_W_OR,
    FILTER_W_NOT,
    FILTER_W_XOR,
    FILTER_W_EQ,
    FILTER_W_NE,
    FILTER_W_LT,
    FILTER_W_LE,
    FILTER_W_GT,
    FILTER_W_GE,
    FILTER_W_CONTAINS,
    FILTER_W_MATCHES,
    FILTER_W_ANY,
    FILTER_W_ALL,
    FILTER_W_ANY_EQ,
    FILTER_W_ANY_NE,
    FILTER_W_ALL_EQ,
    FILTER_W_ALL_NE
};

struct filter_token {
    uint8_t kind; /* filter_token_kind */
    uint8_t word; /* filter_word of a NAME */
    bool bad;     /* a literal that was already complained of */
    bool hex;     /* bytes written as 16:03 */
    struct filter_span span;
    struct td_slice text; /* a name, or what a string or bytes literal denotes; in the filter's text or the arena */
    union {
        uint64_t u;
        double d;
    };
};

struct filter_lexer {
    struct td_slice text;
    size_t at;
    struct arena *arena;
    struct filter_diagnostics *diagnostics;
    bool colons_free; /* no colon is awaited, so 16:03 are bytes, not parts of a condition, a map or a slice */
    bool no_memory;
};

/* The next token; END forever at the end. What is no token is reported and skipped. */
void filter_lex(struct filter_lexer *lexer, struct filter_token *ret);
/* Is the text a name that can stand alone: no keyword, nothing reserved? */
bool filter_is_name(struct td_slice text);
/* The word that a text is, as `word` of a token. */
enum filter_word filter_word_of(struct td_slice text);

#endif
