/* Aliases: the table, what each stands for, and conditions on one of several. */
#include "filter/alias.h"

#include <stdio.h>

#include "filter_rig.h"
#include "tap.h"

/* All fields that the table mentions. */
static const char mentioned[] =
    "timestamp timestamp, elapsed_time int, protocol string, http bool, tlsx bool, ws bool, mongodb bool, postgresql bool, complete bool, "
    "src.ip string, dst.ip string, src.port int, dst.port int, src.dns string, dst.dns string, src.namespace string, dst.namespace string, "
    "src.pod.name string, dst.pod.name string, src.service.name string, dst.service.name string, namespaces list(string), "
    "pods list(string), conn_id int, node_name string, node_ip string, method string, url string, path string, query_string string, "
    "status_code int, http_host string, http_version string, http_response_version string, http_reason string, http_user_agent string, "
    "http_request_target string, request_content_type string, response_content_type string, request_body_size int, response_body_size int, "
    "request.headers map(string, string), response.headers map(string, string), request.size int, response.size int, dns_id int, "
    "dns_opcode int, dns_rcode int, dns_response bool, dns_questions list(string), dns_question_types list(string), "
    "dns_question_classes list(string), dns_answers list(string), dns_total_size int, dns_retransmissions int, dns_variant string, "
    "request.flags list(string), response.flags list(string), tlsx_sni string, tlsx_version int, tlsx_cipher_suite int, tlsx_alpn string, "
    "tcp_payload bytes, tcp_error_type string, udp_payload bytes, udp_length int, udp_checksum int, sctp_checksum int, sctp_length int, "
    "sctp_chunk_type string, icmp_type string, kafka_api_key int, kafka_api_key_name string, kafka_client_id string, kafka_size int, "
    "amqp_method string, amqp_total_size int, redis_command string, redis_key string, redis_type string, ldap_type string, "
    "ldap_summary string, radius_code int, radius_request_authenticator string, radius_request_length int, diameter_method string, "
    "diameter_total_size int, ws_opcode string, ws_request_payload_length int, ws_response_payload_length int, "
    "ws_request_payload_data string, mongodb_opcode string, mongodb_collection string, mongodb_database string, mysql_query string, "
    "mysql_command string, mysql_database string, mysql_error_code int, mysql_error_message string, mysql_statement_id int, "
    "postgresql_query string, postgresql_command string, postgresql_error_code string, postgresql_error_message string, "
    "postgresql_user string, postgresql_database string, grpc_method string, grpc_status int";

static void test_table(void)
{
    uint32_t n, names = 0, disorder = 0, lost = 0;
    const struct filter_alias *aliases = filter_aliases(&n);
    for (uint32_t i = 0; i < n; i++) {
        disorder += i > 0 && strcmp(aliases[i - 1].name, aliases[i].name) > 0;
        bool first = i == 0 || strcmp(aliases[i - 1].name, aliases[i].name) != 0;
        names += first;
        lost += first && filter_alias_find(td_str(aliases[i].name)) != &aliases[i];
    }
    is_int(disorder, 0, "ascending by name");
    is_int(lost, 0, "each is found, the first of its name");
    ok(names >= 120, "%u names", names);
    ok(!filter_alias_find(TD_LIT("")) && !filter_alias_find(TD_LIT("ip")) && !filter_alias_find(TD_LIT("zzz")), "others are not");
}

/* Where all fields are declared, all first rows hold, and give what their text gives. */
static void test_rows(void)
{
    struct filter_rig rig;
    uint32_t n;
    const struct filter_alias *aliases = filter_aliases(&n);
    filter_rig_init(&rig, mentioned);
    for (uint32_t i = 0; i < n; i++) {
        char text[256], want[512];
        if (i > 0 && strcmp(aliases[i - 1].name, aliases[i].name) == 0)
            continue;
        snprintf(text, sizeof(text), "type(%s) == int", aliases[i].text);
        filter_rig_check(&rig, text);
        is_int(rig.status, TD_OK, "%s: its text is right", aliases[i].name);
        if (aliases[i].kind == FILTER_ALIAS_ONE)
            snprintf(text, sizeof(text), "dyn(%s) == 1", aliases[i].text);
        else if (aliases[i].kind == FILTER_ALIAS_EITHER)
            snprintf(text, sizeof(text), "dyn(%s) == 1 || dyn(%s) == 1", aliases[i].text, aliases[i].other);
        else
            snprintf(text, sizeof(text), "%s.exists(v, dyn(v) == 1)", aliases[i].text);
        snprintf(want, sizeof(want), "%s", filter_rig_check(&rig, text));
        snprintf(text, sizeof(text), "dyn(%s) == 1", aliases[i].name);
        is_str(filter_rig_check(&rig, text), want, "what it stands for");
        ok(aliases[i].deprecated == (filter_rig_find(&rig, "deprecated") != NULL), "with a warning if it is old");
    }
    filter_rig_clear(&rig);
}

static void test_several(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"ip.addr == '1'", "src.ip == \"1\" || dst.ip == \"1\""},
        {"ip.addr != '1'", "src.ip != \"1\" && dst.ip != \"1\""},
        {"not ip.addr == '1'", "!(src.ip == \"1\" || dst.ip == \"1\")"},
        {"http and ip.addr != '1' and tcp.port != 80", "http && src.ip != \"1\" && dst.ip != \"1\" && src.port != 80 && dst.port != 80"},
        {"ip.addr == ip.addr", "src.ip == src.ip || dst.ip == dst.ip"},
        {"ip.addr == 10.0.0.0/8", "cidr(\"10.0.0.0/8\").containsIP(src.ip) || cidr(\"10.0.0.0/8\").containsIP(dst.ip)"},
        {"ip.addr != 10.0.0.0/8", "!(cidr(\"10.0.0.0/8\").containsIP(src.ip) || cidr(\"10.0.0.0/8\").containsIP(dst.ip))"},
        {"tcp.port in {80, 8000..8080}",
         "src.port in [80] || dst.port in [80] || src.port >= 8000 && src.port <= 8080 || dst.port >= 8000 && dst.port <= 8080"},
        {"tcp.port > 1 && tcp.port < 5", "(src.port > 1 || dst.port > 1) && (src.port < 5 || dst.port < 5)"},
        {"ip.addr contains '1'", "src.ip.contains(\"1\") || dst.ip.contains(\"1\")"},
        {"size(ip.addr) > 3", "size(src.ip) > 3 || size(dst.ip) > 3"},
        {"has(ip.addr)", "has(src.ip) || has(dst.ip)"},
        {"any ip.addr == '1'", "[src.ip, dst.ip].exists(v, v == \"1\")"},
        {"all tcp.port > 1024", "[src.port, dst.port].all(v, v > 1024)"},
        {"ip.addr == '1' ? http : dns", "src.ip == \"1\" || dst.ip == \"1\" ? http : dns"},
        {"pods.exists(src, ip.addr == src)", "pods.exists(src, .src.ip == src || dst.ip == src)"},
        {"dns.qry.name == 'x'", "\"x\" in dns_questions"},
        {"dns.qry.name != 'x'", "!(\"x\" in dns_questions)"},
        {"'x' == dns.qry.name", "\"x\" in dns_questions"},
        {"'x' in dns.qry.name", "\"x\" in dns_questions"},
        {"dns.qry.name in {'x', 'y'}", "dns_questions.exists(v, v in [\"x\", \"y\"])"},
        {"dns.qry.name contains 'x'", "dns_questions.exists(v, v.contains(\"x\"))"},
        {"dns.qry.name > 'x'", "dns_questions.exists(v, v > \"x\")"},
        {"upper(dns.qry.name) != 'X'", "dns_questions.all(v, v.upperAscii() != \"X\")"},
        {"dns.qry.name == src.ip", "src.ip in dns_questions"},
        {"has(dns.qry.name)", "has(dns_questions)"},
        {"dns.qry.name.exists(q, q == 'x')", "dns_questions.exists(q, q == \"x\")"},
        {"all dns.qry.name == 'x'", "dns_questions.all(v, v == \"x\")"},
        {"pod contains 'x'", "pods.exists(v, v.contains(\"x\"))"},
        {"len(path) > 3 and lower(method) == 'get' and max(1, 2) == 2",
         "size(path) > 3 && method.lowerAscii() == \"get\" && math.greatest(1, 2) == 2"},
        {"src.pod.name == 'a'", "src.pod.name == \"a\""},
        {"src.pod == 'a'", "src.pod.name == \"a\""},
        {"http.request and http.request.method == 'GET'", "http && has(method) && method == \"GET\""},
        {"pods.exists(ip, ip.startsWith('a'))", "pods.exists(ip, ip.startsWith(\"a\"))"},
        {"http.user_agent contains 'curl'", "map_get(request.headers, \"user-agent\", \"\").contains(\"curl\")"},
        {"has(http.user_agent)", "\"user-agent\" in request.headers"},
        {"error", "!complete"},
        {"http.request.methd == 'x'", "undeclared 0-18"},
        {"kafka.api_key == 1", "undeclared 0-13"},
    };
    struct filter_rig rig;
    filter_rig_init(&rig, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(filter_rig_check(&rig, cases[i].text), cases[i].want, "%s", cases[i].text);
    filter_rig_clear(&rig);
}

/* Combinations of aliases for several grow, up to a limit. */
static void test_limit(void)
{
    struct filter_rig rig;
    struct buf text;
    filter_rig_init(&rig, mentioned);
    buf_init(&text, 0);
    buf_lit(&text, "[ip.addr, ip.host, http.content_type");
    for (int i = 0; i < 800; i++)
        buf_lit(&text, ", 'x'");
    buf_lit(&text, "].size() == tcp.port + udp.port + http.content_length");
    filter_rig_check(&rig, buf_cstr(&text));
    ok(filter_rig_find(&rig, "too_large") != NULL, "too many combinations are refused");
    buf_clear(&text);
    filter_rig_clear(&rig);
}

int main(void)
{
    test_table();
    test_rows();
    test_several();
    test_limit();
    return tap_done();
}
