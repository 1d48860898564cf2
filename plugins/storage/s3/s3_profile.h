/* The shared files credentials and config, by profile. Source: "Using shared config and credentials files" (AWS SDKs and Tools Reference
 * Guide). What they say of credential_process and single sign-on is seen, but not done: Tapedeck runs no programs that a file names. */
#ifndef S3_PROFILE_H
#define S3_PROFILE_H

#include "s3_keys.h"

enum {
    S3_MAX_PROFILE_NAME = 128,
    S3_MAX_PROFILE_PATH = 1024,
    S3_MAX_SOURCE_PROFILES = 8, /* that name one another */
};

enum s3_profile_file { S3_PROFILE_CONFIG, S3_PROFILE_CREDENTIALS };

/* What is said of one profile; "": nothing. To be wiped. */
struct s3_profile {
    bool found;
    char access_key[S3_MAX_KEY_ID], secret_key[S3_MAX_SECRET], token[S3_MAX_TOKEN];
    char role_arn[S3_MAX_ROLE_ARN + 1], external_id[S3_MAX_EXTERNAL_ID + 1], session_name[S3_MAX_SESSION_NAME + 1];
    char duration[16]; /* of the role, in seconds */
    char source_profile[S3_MAX_PROFILE_NAME], credential_source[32];
    char token_file[S3_MAX_PROFILE_PATH];                       /* of a web identity */
    char mfa_serial[16], process[16], sso[16], sso_session[16]; /* cut: whether they are there */
    bool has_own_section;                                       /* of config: [profile default] counts more than [default] */
};
void s3_profile_clear(struct s3_profile *);

/* Adds what `text` says of the profile `name`; what was there before from the same or the other file is replaced by it. Keys belong
 * together: those of one file are not mixed with those of another. TD_OK, also if it says nothing; TD_E_CONFIG: line *ret_line of the
 * profile cannot be understood, or is too long. Other profiles may hold anything. Pure. */
int s3_profile_read(struct td_slice text, enum s3_profile_file, const char *name, struct s3_profile *, unsigned *ret_line);

/* The two files of an environment, as they are now. To be cleared. */
struct s3_profile_files {
    char path[2][S3_MAX_PROFILE_PATH]; /* by s3_profile_file; "": there is no such place */
    struct cloud_text text[2];
    char missing[2 * S3_MAX_SOURCE]; /* for people, why one of them has nothing to say; "" */
};
/* A file that is not there is none; one that is named by the environment and cannot be read is TD_E_DENIED. */
int s3_profile_files_read(struct s3_profile_files *, const struct s3_environment *, struct s3_trouble *);
void s3_profile_files_clear(struct s3_profile_files *);
/* What both say. TD_E_CONFIG: a line that cannot be understood. */
int s3_profile_find(const struct s3_profile_files *, const char *name, struct s3_profile *ret, struct s3_trouble *);

#endif
