/* The certificate and key with which a TLS server shows who it is. Counted, so that it can be replaced while connections use it. */
#ifndef NET_TLS_IDENTITY_H
#define NET_TLS_IDENTITY_H

#include <stdatomic.h>

#include <gnutls/gnutls.h>

#include "base/buf.h"
#include "base/error.h"

struct tls_identity {
    gnutls_certificate_credentials_t credentials;
    struct buf certificate, key; /* the files, with a zero at the end */
    atomic_uint users;
};

/* Reads the PEM files and checks that they belong together; a certificate that has expired is only warned of, for capturing matters more.
 * TD_E_CONFIG; TD_E_NOT_FOUND; TD_E_DENIED: unreadable, or others can read the key. */
int tls_identity_read(const char *certificate, const char *key, struct tls_identity **ret, struct error *err) MUST_CHECK;
struct tls_identity *tls_identity_ref(struct tls_identity *);
void tls_identity_unref(struct tls_identity *); /* NULL is fine */

#endif
