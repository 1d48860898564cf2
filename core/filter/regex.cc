#include "filter/regex.h"

#include <new>
#include <re2/re2.h>

struct filter_regex {
    RE2 re;
    filter_regex(re2::StringPiece pattern, const RE2::Options &options) : re(pattern, options)
    {
    }
};

static re2::StringPiece piece(struct td_slice s)
{
    return re2::StringPiece(reinterpret_cast<const char *>(s.p), s.n);
}

static RE2::Options options()
{
    RE2::Options o;
    o.set_log_errors(false);
    o.set_max_mem(FILTER_REGEX_MEMORY);
    o.set_never_capture(true);
    return o;
}

static int tell(const RE2 &re, struct td_slice pattern, size_t *ret_offset, struct error *err)
{
    if (re.error_code() == RE2::ErrorPatternTooLarge)
        return error_set(err, TD_E_LIMIT, "the regular expression needs more than %d MiB", FILTER_REGEX_MEMORY >> 20);
    if (ret_offset) {
        size_t at = re.error_arg().empty() ? 0 : piece(pattern).find(re.error_arg());
        *ret_offset = at == re2::StringPiece::npos ? 0 : at;
    }
    return error_set(err, TD_E_CONFIG, "%s", re.error().c_str());
}

int filter_regex_new(struct td_slice pattern, struct filter_regex **ret, size_t *ret_offset, struct error *err)
{
    try {
        filter_regex *made = new filter_regex(piece(pattern), options());
        if (made->re.ok()) {
            *ret = made;
            return TD_OK;
        }
        int status = tell(made->re, pattern, ret_offset, err);
        delete made;
        return status;
    } catch (...) { /* nothing but std::bad_alloc is thrown here */
        return error_nomem(err);
    }
}

void filter_regex_free(struct filter_regex *regex)
{
    delete regex;
}

bool filter_regex_match(const struct filter_regex *regex, struct td_slice text)
{
    try {
        return regex->re.Match(piece(text), 0, text.n, RE2::UNANCHORED, nullptr, 0);
    } catch (...) {
        return false;
    }
}
