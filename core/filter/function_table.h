/* What the table of functions refers to. Each function is described in the table; see function.h for the contract. */
#ifndef FILTER_FUNCTION_TABLE_H
#define FILTER_FUNCTION_TABLE_H

#include "filter/function.h"

/* function_convert.c */
filter_function_fn call_identity, call_bool_string, call_bytes_string, call_double_int, call_double_uint, call_double_string,
    call_duration_string, call_int_uint, call_int_double, call_int_string, call_int_timestamp, call_string_bool, call_string_int,
    call_string_uint, call_string_double, call_string_bytes, call_string_timestamp, call_string_duration, call_string_ip, call_string_cidr,
    call_timestamp_int, call_timestamp_string, call_uint_int, call_uint_double, call_uint_string, call_type;
/* function_string.c */
filter_function_fn call_contains, call_starts_with, call_ends_with, call_matches, call_size_string, call_size_bytes, call_char_at,
    call_index_of, call_index_of_from, call_last_index_of, call_last_index_of_from, call_join, call_join_with, call_lower_ascii,
    call_upper_ascii, call_replace, call_replace_n, call_split, call_split_n, call_substring, call_substring_to, call_substring_bytes,
    call_substring_bytes_to, call_trim, call_reverse, call_quote;
/* function_format.c */
filter_function_fn call_format;
/* function_collection.c */
filter_function_fn call_size_list, call_size_map, call_map_get;
/* function_time.c */
filter_function_fn call_now, call_full_year, call_month, call_date, call_day_of_month, call_day_of_week, call_day_of_year, call_hours,
    call_minutes, call_seconds, call_milliseconds, call_full_year_in, call_month_in, call_date_in, call_day_of_month_in,
    call_day_of_week_in, call_day_of_year_in, call_hours_in, call_minutes_in, call_seconds_in, call_milliseconds_in, call_duration_hours,
    call_duration_minutes, call_duration_seconds, call_duration_milliseconds;
/* function_network.c */
filter_function_fn call_ip, call_is_ip, call_is_canonical, call_cidr, call_is_cidr, call_family, call_is_unspecified, call_is_loopback,
    call_is_global_unicast, call_is_link_local_multicast, call_is_link_local_unicast, call_contains_ip, call_contains_ip_string,
    call_contains_cidr, call_contains_cidr_string, call_cidr_ip, call_prefix_length, call_masked;
/* function_math.c */
filter_function_fn call_greatest, call_least, call_ceil, call_floor, call_round, call_trunc, call_abs, call_sign, call_is_nan, call_is_inf,
    call_is_finite, call_sqrt, call_bit_and, call_bit_or, call_bit_xor, call_bit_not, call_bit_shift_left, call_bit_shift_right;
/* function_optional.c */
filter_function_fn call_optional_none, call_optional_of, call_optional_of_non_zero, call_has_value, call_value, call_or, call_or_value;
/* function_encode.c */
filter_function_fn call_base64_encode, call_base64_decode;

#endif
