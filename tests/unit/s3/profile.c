/* The shared files credentials and config, as people write them. */
#include "../../../plugins/storage/s3/s3_profile.h"

#include <stdio.h>

#include "tap.h"

static struct s3_profile p;
static unsigned line;

static int read_as(enum s3_profile_file file, const char *name, const char *text)
{
    memset(&p, 0, sizeof(p));
    line = 0;
    return s3_profile_read(td_str(text), file, name, &p, &line);
}

static void test_sections(void)
{
    static const char text[] = "# a comment\n"
                               "[default]\n"
                               "aws_access_key_id = D\n"
                               "\n"
                               "[profile dev]\n"
                               "aws_access_key_id=P\n"
                               "[dev]\n"
                               "aws_access_key_id=C\n"
                               "[ profile\t\"with space\" ] ; why not\n"
                               "aws_access_key_id=W\n"
                               "[sso-session dev]\n"
                               "aws_access_key_id=S\n"
                               "[profile]\naws_access_key_id=X\n[profiledev]\naws_access_key_id=X\n"
                               "[profile dev]\n"
                               "aws_secret_access_key=again\n";
    ok(read_as(S3_PROFILE_CONFIG, "dev", text) == TD_OK && p.found, "a profile of config");
    is_str(p.access_key, "P", "  is that with the word before it");
    is_str(p.secret_key, "again", "  in all its sections");
    ok(read_as(S3_PROFILE_CREDENTIALS, "dev", text) == TD_OK && p.found, "one of credentials");
    is_str(p.access_key, "C", "  is that without");
    read_as(S3_PROFILE_CONFIG, "default", text);
    is_str(p.access_key, "D", "the default needs no word");
    read_as(S3_PROFILE_CONFIG, "with space", text);
    is_str(p.access_key, "W", "a name with a space");
    ok(read_as(S3_PROFILE_CONFIG, "nobody", text) == TD_OK && !p.found, "one that is not there");
    read_as(S3_PROFILE_CONFIG, "default",
            "[default]\naws_access_key_id=A\nrole_arn=R\n[profile default]\naws_access_key_id=B\n[default]\nrole_arn=R");
    is_str(p.access_key, "B", "[profile default] counts more than [default]");
    is_str(p.role_arn, "", "  of which nothing is mixed in");
    ok(read_as(S3_PROFILE_CREDENTIALS, "default", "\xef\xbb\xbf[default]\r\naws_access_key_id = A\r\n") == TD_OK &&
           strcmp(p.access_key, "A") == 0,
       "with the marks of another system");
}

static void test_properties(void)
{
    ok(read_as(S3_PROFILE_CREDENTIALS, "x",
               "[x]\nAWS_Access_Key_ID = A #1 \naws_secret_access_key = a/b+c=#;d\naws_session_token=\nregion = r\n"
               "s3 =\n  aws_access_key_id = nested\n\tmax = 1\n;role_arn = no\nrole_arn = arn:aws:iam::1:role/r ; why\n"
               "external_id=e\nrole_session_name = s\nduration_seconds = 900\nsource_profile = y z\ncredential_source = Environment\n"
               "web_identity_token_file = /a b/c\nmfa_serial = arn:aws:iam::1:mfa/somebody-with-a-long-name\n"
               "credential_process = /bin/echo with many words\nsso_session = q\nsso_start_url=https://x") == TD_OK,
       "all that there is");
    is_str(p.access_key, "A", "a name in any case, a value without its comment");
    is_str(p.secret_key, "a/b+c=#;d", "signs within a value are its own");
    is_str(p.token, "", "an empty value");
    is_str(p.role_arn, "arn:aws:iam::1:role/r", "a role");
    is_str(p.external_id, "e", "its external id");
    is_str(p.session_name, "s", "its session");
    is_str(p.duration, "900", "its duration");
    is_str(p.source_profile, "y z", "where its keys are");
    is_str(p.credential_source, "Environment", "or these");
    is_str(p.token_file, "/a b/c", "or there");
    ok(*p.mfa_serial && *p.process && *p.sso && *p.sso_session, "what is not done is noted, however long");
    read_as(S3_PROFILE_CREDENTIALS, "x", "[x]\naws_access_key_id=A\naws_access_key_id=B");
    is_str(p.access_key, "B", "the last of several counts");
}

static void test_damage(void)
{
    char text[8 << 10];
    is_int(read_as(S3_PROFILE_CREDENTIALS, "x", "[x]\n\naws_access_key_id A\n"), TD_E_CONFIG, "a line without a sign");
    is_int(line, 3, "  is told");
    is_int(read_as(S3_PROFILE_CREDENTIALS, "x", "nonsense\n[y\nnonsense\n[x]\naws_access_key_id=A\n[y]\nnonsense"), TD_OK,
           "those of others do not matter");
    is_str(p.access_key, "A", "  at all");
    ok(read_as(S3_PROFILE_CREDENTIALS, "x", "[x") == TD_OK && !p.found, "a section that does not end");
    ok(read_as(S3_PROFILE_CREDENTIALS, "", "[]\na=b") == TD_OK && p.found, "a name that is none");
    snprintf(text, sizeof(text), "[x]\naws_access_key_id=%0255d", 0);
    ok(read_as(S3_PROFILE_CREDENTIALS, "x", text) == TD_OK && strlen(p.access_key) == 255, "as long as may be");
    snprintf(text, sizeof(text), "[x]\naws_access_key_id=%0256d", 0);
    is_int(read_as(S3_PROFILE_CREDENTIALS, "x", text), TD_E_CONFIG, "too long");
    is_int(read_as(S3_PROFILE_CREDENTIALS, "x", "[x]\nrole_arn=a\tb"), TD_E_CONFIG, "a control character");
    memset(&p, 0, sizeof(p));
    is_int(s3_profile_read(TD_LIT("[x]\nrole_arn=a\0b\n"), S3_PROFILE_CREDENTIALS, "x", &p, &line), TD_E_CONFIG, "a zero");
    is_int(s3_profile_read(td_bytes(NULL, 0), S3_PROFILE_CREDENTIALS, "x", &p, &line), TD_OK, "nothing at all");
}

static void test_both(void)
{
    memset(&p, 0, sizeof(p));
    ok(s3_profile_read(TD_LIT("[profile x]\naws_access_key_id=A\naws_secret_access_key=S\naws_session_token=T\nrole_arn=R\nexternal_id=E"),
                       S3_PROFILE_CONFIG, "x", &p, &line) == TD_OK &&
           s3_profile_read(TD_LIT("[x]\naws_access_key_id=B\naws_secret_access_key=U\nexternal_id=F"), S3_PROFILE_CREDENTIALS, "x", &p,
                           &line) == TD_OK,
       "both files");
    is_str(p.access_key, "B", "credentials count more");
    is_str(p.secret_key, "U", "  both of a pair");
    is_str(p.token, "", "  without a token that belongs to others");
    is_str(p.role_arn, "R", "the rest of config stays");
    is_str(p.external_id, "F", "  if there is nothing else");
}

int main(void)
{
    test_sections();
    test_properties();
    test_damage();
    test_both();
    return tap_done();
}
