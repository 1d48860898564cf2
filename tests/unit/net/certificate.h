/* Certificates for tests: self-signed, for 127.0.0.1. */
#ifndef TESTS_NET_CERTIFICATE_H
#define TESTS_NET_CERTIFICATE_H

#include <stdio.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static inline void write_pem(const char *path, EVP_PKEY *key, X509 *certificate, unsigned mode)
{
    FILE *file = fopen(path, "w");
    if (certificate)
        PEM_write_X509(file, certificate);
    else
        PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    chmod(path, mode);
}

/* `name` can be told from the issuer; valid from now for `seconds`. */
static inline void certificate_make(const char *name, long seconds, const char *certificate_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_EXTENSION *authority = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
    X509_add_ext(certificate, names, -1);
    X509_add_ext(certificate, authority, -1);
    X509_sign(certificate, key, EVP_sha256());
    write_pem(certificate_path, NULL, certificate, 0644);
    write_pem(key_path, key, NULL, 0600);
    X509_EXTENSION_free(names);
    X509_EXTENSION_free(authority);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

#endif
