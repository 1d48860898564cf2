#include "net/tls_identity.h"

#include <string.h>
#include <time.h>

#include <gnutls/x509.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/small_file.h"

enum { MAX_PEM = 1 << 20 };

static int gnutls_failed(const char *certificate, const char *key, int code, struct error *err)
{
    if (code == GNUTLS_E_MEMORY_ERROR)
        return error_nomem(err);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return error_set(err, TD_E_CONFIG,
                         "%s: the key does not belong to the certificate in %s; give the key that it was made with, and the server's own "
                         "certificate before those of its issuers",
                         key, certificate);
    return error_set(err, TD_E_CONFIG, "%s and %s are not a certificate and its key in PEM form, without a password: %s", certificate, key,
                     gnutls_strerror(code));
}

static void warn_if_expired(const char *path, gnutls_certificate_credentials_t credentials)
{
    gnutls_x509_crt_t *chain = NULL;
    unsigned n = 0;
    if (gnutls_certificate_get_x509_crt(credentials, 0, &chain, &n) != 0)
        return;
    if (n && gnutls_x509_crt_get_expiration_time(chain[0]) < time(NULL))
        log_event(TD_LOG_WARN, "tls", "%s: the certificate has expired; clients will refuse it until there is a new one", path);
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
}

static int load(struct tls_identity *t, const char *certificate, const char *key, struct error *err)
{
    int status = small_file_read(certificate, "the certificate", false, &t->certificate, err);
    if (status == TD_OK)
        status = small_file_read(key, "the key of the certificate", true, &t->key, err);
    if (status != TD_OK)
        return status;
    int code = gnutls_certificate_allocate_credentials(&t->credentials);
    if (code != 0) {
        t->credentials = NULL;
        return gnutls_failed(certificate, key, code, err);
    }
    gnutls_datum_t certificate_pem = {t->certificate.p, (unsigned)t->certificate.n}, key_pem = {t->key.p, (unsigned)t->key.n};
    code = gnutls_certificate_set_x509_key_mem2(t->credentials, &certificate_pem, &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code < 0)
        return gnutls_failed(certificate, key, code, err);
    warn_if_expired(certificate, t->credentials);
    return TD_OK;
}

int tls_identity_read(const char *certificate, const char *key, struct tls_identity **ret, struct error *err)
{
    struct tls_identity *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return error_nomem(err);
    atomic_init(&t->users, 1);
    t->certificate.max = t->key.max = MAX_PEM;
    int status = load(t, certificate, key, err);
    if (status == TD_OK)
        *ret = t;
    else
        tls_identity_unref(t);
    return status;
}

struct tls_identity *tls_identity_ref(struct tls_identity *t)
{
    atomic_fetch_add(&t->users, 1);
    return t;
}

void tls_identity_unref(struct tls_identity *t)
{
    if (!t || atomic_fetch_sub(&t->users, 1) > 1)
        return;
    if (t->credentials)
        gnutls_certificate_free_credentials(t->credentials);
    if (t->key.p)
        explicit_bzero(t->key.p, t->key.n);
    buf_clear(&t->key);
    buf_clear(&t->certificate);
    mem_free(t);
}
