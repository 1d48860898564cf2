/* The layout of plugin ABI 1 on a 64-bit machine, in numbers: what plugins that exist were compiled with. Offsets and
 * values never change within the major; structs may only grow at their end, and those that are part of others or are passed by value
 * not even that. Included with the SDK's header and with the frozen ones, so that neither this list nor the SDK can drift. */
#ifndef TESTS_ABI_LAYOUT_H
#define TESTS_ABI_LAYOUT_H

#include <assert.h>

#include "tapedeck/plugin.h"

#define FROZEN(S, size) static_assert(sizeof(struct S) == (size), #S " is passed by value or part of others: its size is frozen")
#define GROWS(S, size) static_assert(sizeof(struct S) >= (size), #S " has shrunk")
#define AT(S, m, offset) static_assert(offsetof(struct S, m) == (offset), #S "." #m " has moved")
#define VALUE(name, value) static_assert((name) == (value), #name " has changed")

FROZEN(td_table, 16);
AT(td_table, v, 0);
AT(td_table, n, 8);
AT(td_table, stride, 12);

FROZEN(td_strlist, 16);
AT(td_strlist, v, 0);
AT(td_strlist, n, 8);

GROWS(td_option, 64);
AT(td_option, name, 0);
AT(td_option, type, 8);
AT(td_option, flags, 12);
AT(td_option, offset, 16);
AT(td_option, def, 24);
AT(td_option, help, 32);
AT(td_option, min, 40);
AT(td_option, max, 48);
AT(td_option, choices, 56);

GROWS(td_name, 16);
AT(td_name, value, 0);
AT(td_name, name, 8);

GROWS(td_field, 40);
AT(td_field, name, 0);
AT(td_field, type, 8);
AT(td_field, flags, 12);
AT(td_field, doc, 16);
AT(td_field, names, 24);

GROWS(td_host, 160);
AT(td_host, size, 0);
AT(td_host, abi_minor, 4);
AT(td_host, fail, 8);
AT(td_host, log, 16);
AT(td_host, cancelled, 24);
AT(td_host, iface, 32);
AT(td_host, alloc, 40);
AT(td_host, scratch, 48);
AT(td_host, wants, 56);
AT(td_host, confirm, 64);
AT(td_host, violation, 72);
AT(td_host, call, 80);
AT(td_host, set_u64, 88);
AT(td_host, set_i64, 96);
AT(td_host, set_bytes, 104);
AT(td_host, append_bytes, 112);
AT(td_host, set_pair, 120);
AT(td_host, peek, 128);
AT(td_host, mark, 136);
AT(td_host, commit, 144);
AT(td_host, takeover, 152);
#if TD_ABI_MINOR >= 1 && TD_TARGET_MINOR >= 1
GROWS(td_host, 224);
AT(td_host, sub_open, 160);
AT(td_host, sub_data, 168);
AT(td_host, sub_gap, 176);
AT(td_host, sub_eof, 184);
AT(td_host, sub_close, 192);
AT(td_host, layer, 200);
AT(td_host, find_pair, 208);
AT(td_host, next_pair, 216);
AT(td_host, set_partial, 224);
AT(td_host, tell, 232);
AT(td_host, told, 240);
#endif

GROWS(td_claim, 24);
AT(td_claim, on, 0);
AT(td_claim, port_lo, 4);
AT(td_claim, port_hi, 6);
AT(td_claim, point, 8);
AT(td_claim, key, 16);

GROWS(td_point, 16);
AT(td_point, name, 0);
AT(td_point, doc, 8);
#if TD_ABI_MINOR >= 1 && TD_TARGET_MINOR >= 1
GROWS(td_point, 24);
AT(td_point, flags, 16);
#endif

GROWS(td_flow, 48);
AT(td_flow, size, 0);
AT(td_flow, flags, 4);
AT(td_flow, ip, 8);
AT(td_flow, port, 40);
AT(td_flow, ip_version, 44);
AT(td_flow, transport, 45);

GROWS(td_chunk, 40);
AT(td_chunk, bytes, 0);
AT(td_chunk, offset, 16);
AT(td_chunk, time_ns, 24);
AT(td_chunk, flags, 32);

FROZEN(td_step, 24);
AT(td_step, status, 0);
AT(td_step, used, 8);
AT(td_step, need, 16);

GROWS(td_dissector, 104);
AT(td_dissector, size, 0);
AT(td_dissector, max_probe, 4);
AT(td_dissector, fields, 8);
AT(td_dissector, claims, 24);
AT(td_dissector, points, 40);
AT(td_dissector, probe, 56);
AT(td_dissector, open, 64);
AT(td_dissector, data, 72);
AT(td_dissector, gap, 80);
AT(td_dissector, eof, 88);
AT(td_dissector, close, 96);
#if TD_ABI_MINOR >= 1 && TD_TARGET_MINOR >= 1
GROWS(td_dissector, 112);
AT(td_dissector, also, 104);
#endif

GROWS(td_interface, 24);
AT(td_interface, name, 0);
AT(td_interface, linktype, 8);
AT(td_interface, snaplen, 12);
AT(td_interface, ticks_per_s, 16);

GROWS(td_export, 24);
AT(td_export, size, 0);
AT(td_export, flags, 4);
AT(td_export, interfaces, 8);
#if TD_ABI_MINOR >= 1 && TD_TARGET_MINOR >= 1
GROWS(td_export, 72);
AT(td_export, application, 24);
AT(td_export, comment, 32);
AT(td_export, names, 40);
AT(td_export, statistics, 56);

GROWS(td_resolved_name, 32);
AT(td_resolved_name, ip, 0);
AT(td_resolved_name, ip_version, 16);
AT(td_resolved_name, name, 24);

GROWS(td_interface_statistics, 48);
AT(td_interface_statistics, iface, 0);
AT(td_interface_statistics, start_ns, 8);
AT(td_interface_statistics, end_ns, 16);
AT(td_interface_statistics, received, 24);
AT(td_interface_statistics, dropped_by_interface, 32);
AT(td_interface_statistics, dropped_by_kernel, 40);
#endif

GROWS(td_packet, 32);
AT(td_packet, time_ns, 0);
AT(td_packet, orig_len, 8);
AT(td_packet, iface, 12);
AT(td_packet, bytes, 16);

GROWS(td_exporter, 48);
AT(td_exporter, size, 0);
AT(td_exporter, wants, 4);
AT(td_exporter, media_type, 8);
AT(td_exporter, suffix, 16);
AT(td_exporter, begin, 24);
AT(td_exporter, packet, 32);
AT(td_exporter, end, 40);

GROWS(td_component, 72);
AT(td_component, size, 0);
AT(td_component, kind, 4);
AT(td_component, name, 8);
AT(td_component, summary, 16);
AT(td_component, options, 24);
AT(td_component, config_size, 40);
AT(td_component, create, 48);
AT(td_component, destroy, 56);
AT(td_component, ops, 64);

GROWS(td_plugin, 48);
AT(td_plugin, size, 0);
AT(td_plugin, target_minor, 4);
AT(td_plugin, header_minor, 8);
AT(td_plugin, name, 16);
AT(td_plugin, version, 24);
AT(td_plugin, license, 32);
AT(td_plugin, components, 40);

FROZEN(td_slice, 16);
AT(td_slice, p, 0);
AT(td_slice, n, 8);

VALUE(TD_OK, 0);
VALUE(TD_E_CONFIG, -1);
VALUE(TD_E_NOMEM, -2);
VALUE(TD_E_LIMIT, -3);
VALUE(TD_E_NOT_FOUND, -4);
VALUE(TD_E_EXISTS, -5);
VALUE(TD_E_DENIED, -6);
VALUE(TD_E_RETRY, -7);
VALUE(TD_E_CORRUPT, -8);
VALUE(TD_E_CANCELLED, -9);
VALUE(TD_E_UNSUPPORTED, -10);
VALUE(TD_E_INTERNAL, -11);

VALUE(TD_LOG_ERROR, 1);
VALUE(TD_LOG_WARN, 2);
VALUE(TD_LOG_INFO, 3);
VALUE(TD_LOG_DEBUG, 4);

VALUE(TD_OPT_STR, 1);
VALUE(TD_OPT_BOOL, 2);
VALUE(TD_OPT_INT, 3);
VALUE(TD_OPT_SIZE, 4);
VALUE(TD_OPT_DUR_NS, 5);
VALUE(TD_OPT_ENUM, 6);
VALUE(TD_OPT_STRLIST, 7);

VALUE(TD_OPT_REQUIRED, 1);
VALUE(TD_OPT_SECRET, 2);
VALUE(TD_OPT_DEPRECATED, 4);

VALUE(TD_BOOL, 1);
VALUE(TD_U64, 2);
VALUE(TD_I64, 3);
VALUE(TD_STRING, 4);
VALUE(TD_BYTES, 5);
VALUE(TD_IP, 6);
VALUE(TD_TIME_NS, 7);
VALUE(TD_DUR_NS, 8);
VALUE(TD_ENUM, 9);
VALUE(TD_MAP, 10);

VALUE(TD_F_REQUEST, 1);
VALUE(TD_F_RESPONSE, 2);
VALUE(TD_F_LIST, 4);
VALUE(TD_F_SENSITIVE, 8);
VALUE(TD_F_BODY, 16);
VALUE(TD_F_METHOD, 32);
VALUE(TD_F_TARGET, 64);
VALUE(TD_F_STATUS, 128);

VALUE(TD_REQUEST_CUT, 1);
VALUE(TD_RESPONSE_CUT, 2);
VALUE(TD_PARTIAL, 4);

VALUE(TD_CLIENT, 0);
VALUE(TD_SERVER, 1);

VALUE(TD_ON_TCP, 1);
VALUE(TD_ON_UDP, 2);
VALUE(TD_ON_POINT, 3);

VALUE(TD_FLOW_MIDSTREAM, 1);
VALUE(TD_FLOW_ROLE_GUESSED, 2);
VALUE(TD_FLOW_PORT_HINT, 4);
VALUE(TD_FLOW_CONFIGURED, 8);

VALUE(TD_CHUNK_DATAGRAM, 1);
VALUE(TD_CHUNK_LAST, 2);
VALUE(TD_CHUNK_CUT, 4);

VALUE(TD_CLOSE_FIN, 1);
VALUE(TD_CLOSE_RESET, 2);
VALUE(TD_CLOSE_TIMEOUT, 3);
VALUE(TD_CLOSE_EVICTED, 4);
VALUE(TD_CLOSE_END, 5);
VALUE(TD_CLOSE_LOST, 6);
VALUE(TD_CLOSE_TAKEOVER, 7);

VALUE(TD_KIND_STORAGE, 1);
VALUE(TD_KIND_DISSECTOR, 2);
VALUE(TD_KIND_EXPORTER, 3);

#if TD_ABI_MINOR >= 1 && TD_TARGET_MINOR >= 1
VALUE(TD_ONE_WAY, 8);

GROWS(td_object, 184);
AT(td_object, size, 0);
AT(td_object, flags, 4);
AT(td_object, bytes, 8);
AT(td_object, mtime_ns, 16);
AT(td_object, etag, 24);
AT(td_object, sha256, 152);

GROWS(td_put, 56);
AT(td_put, size, 0);
AT(td_put, flags, 4);
AT(td_put, expected, 8);
AT(td_put, sha256, 16);
AT(td_put, state, 24);
AT(td_put, save, 32);
AT(td_put, progress, 40);
AT(td_put, ctx, 48);

GROWS(td_storage, 136);
AT(td_storage, size, 0);
AT(td_storage, flags, 4);
AT(td_storage, check, 8);
AT(td_storage, head, 16);
AT(td_storage, get, 24);
AT(td_storage, put_open, 32);
AT(td_storage, put_write, 40);
AT(td_storage, put_commit, 48);
AT(td_storage, put_abort, 56);
AT(td_storage, list, 64);
AT(td_storage, remove, 72);
AT(td_storage, put_file, 80);
AT(td_storage, flush, 88);
AT(td_storage, path, 96);
AT(td_storage, forget, 104);
AT(td_storage, sweep, 112);
AT(td_storage, remove_many, 120);
AT(td_storage, folders, 128);

VALUE(TD_OBJECT_SHA256, 1);
VALUE(TD_PUT_LATER, 1);
VALUE(TD_PUT_STATE_MAX, 1024);
VALUE(TD_REMOVE_MAX, 1000);
VALUE(TD_KEY_MAX, 1024);
VALUE(TD_KEY_PART_MAX, 255);
#endif

#undef FROZEN
#undef GROWS
#undef AT
#undef VALUE

#endif
