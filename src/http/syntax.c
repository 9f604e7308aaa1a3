#include "http/syntax.h"

// The table is written as conditions, so that each can be held against its grammar; the
// compiler works it out.
#define IN(c, first, last) ((c) >= (first) && (c) <= (last))
#define IS_ALPHA(c) (IN(c, 'a', 'z') || IN(c, 'A', 'Z'))
#define IS_DIGIT(c) IN(c, '0', '9')
#define IS_ALPHANUMERIC(c) (IS_ALPHA(c) || IS_DIGIT(c))

#define IS_TOKEN(c)                                                                                                    \
	(IS_ALPHANUMERIC(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' ||             \
	 (c) == '.' || (c) == '^' || (c) == '_' || (c) == '`' || (c) == '|' || (c) == '~')
#define IS_VALUE(c) ((c) == '\t' || IN(c, 0x20, 0x7e) || (c) >= 0x80)
#define IS_QUOTED(c) (IS_VALUE(c) && (c) != '"' && (c) != '\\')
#define IS_UNRESERVED(c) (IS_ALPHANUMERIC(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define IS_SUB_DELIMITER(c)                                                                                            \
	((c) == '!' || (c) == '$' || IN(c, '&', ',') || (c) == ';' || (c) == '=') /* RFC 3986 section 2.2 */
#define IS_PCHAR(c) (IS_UNRESERVED(c) || IS_SUB_DELIMITER(c) || (c) == ':' || (c) == '@')
// Beyond RFC 3986: what the URL Standard leaves raw, so that every browser sends it.
#define IS_PATH(c) (IS_PCHAR(c) || (c) == '/' || (c) == '[' || (c) == ']' || (c) == '|')
#define IS_QUERY(c) (IS_PATH(c) || (c) == '?' || (c) == '\\' || (c) == '^' || (c) == '`' || (c) == '{' || (c) == '}')
#define IS_HEX(c) (IS_DIGIT(c) || IN(c, 'a', 'f') || IN(c, 'A', 'F'))
#define IS_SCHEME(c) (IS_ALPHANUMERIC(c) || (c) == '+' || (c) == '-' || (c) == '.')

#define ENTRY(c)                                                                                                       \
	(uint8_t)((IS_TOKEN(c) ? SYNTAX_TOKEN : 0) | (IS_VALUE(c) ? SYNTAX_VALUE : 0) |                                \
		  (IS_QUOTED(c) ? SYNTAX_QUOTED : 0) | (IS_PATH(c) ? SYNTAX_PATH : 0) |                                \
		  (IS_QUERY(c) ? SYNTAX_QUERY : 0) | (IS_UNRESERVED(c) ? SYNTAX_UNRESERVED : 0) |                      \
		  (IS_HEX(c) ? SYNTAX_HEX : 0) | (IS_SCHEME(c) ? SYNTAX_SCHEME : 0))
#define ENTRIES_4(c) ENTRY(c), ENTRY((c) + 1), ENTRY((c) + 2), ENTRY((c) + 3)
#define ENTRIES_16(c) ENTRIES_4(c), ENTRIES_4((c) + 4), ENTRIES_4((c) + 8), ENTRIES_4((c) + 12)
#define ENTRIES_64(c) ENTRIES_16(c), ENTRIES_16((c) + 16), ENTRIES_16((c) + 32), ENTRIES_16((c) + 48)

const uint8_t syntax_of[256] = {ENTRIES_64(0), ENTRIES_64(64), ENTRIES_64(128), ENTRIES_64(192)};

bool syntax_all(struct slice bytes, enum syntax syntax)
{
	const char *end = bytes.data + bytes.length;
	return bytes.length > 0 && syntax_skip(bytes.data, end, syntax) == end;
}
