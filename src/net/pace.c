#include "net/pace.h"

#include "fiber/loop.h"
#include "net/rate.h"

enum {
	// So little that those who share a rate take turns, so much that it is worth a write.
	PIECE_LEAST = 1024,
	PIECE_MOST = 64 * 1024,
	PIECES_A_SECOND = 20,
};

// How long so many bytes take; more than 9 GB would not fit.
static int64_t time_of(int64_t bytes, int64_t bytes_a_second)
{
	return (int64_t)((__int128_t)bytes * SECOND_NS / bytes_a_second);
}

struct pace pace_of(int64_t bytes_a_second, int64_t burst, uint64_t key)
{
	int64_t piece = bytes_a_second / PIECES_A_SECOND;
	piece = piece < PIECE_LEAST ? PIECE_LEAST : piece > PIECE_MOST ? PIECE_MOST : piece;
	return (struct pace){
		.bytes_a_second = bytes_a_second,
		.burst_ns = time_of(burst, bytes_a_second),
		.piece = (size_t)(piece < burst ? piece : burst),
		.key = key,
	};
}

size_t pace_piece(const struct pace *pace)
{
	size_t least = pace->piece;
	while ((pace = pace->next))
		least = pace->piece < least ? pace->piece : least;
	return least;
}

static int64_t book(struct pace *pace, int64_t bytes, int64_t now_ns)
{
	int64_t cost_ns = time_of(bytes, pace->bytes_a_second);
	return pace->key ? rate_book(pace->key, cost_ns, pace->burst_ns, now_ns)
			 : rate_book_at(&pace->due_ns, cost_ns, pace->burst_ns, now_ns);
}

int64_t pace_book(struct pace *pace, size_t bytes, int64_t now_ns)
{
	int64_t longest_ns = 0;
	for (; pace; pace = pace->next) {
		int64_t wait_ns = book(pace, (int64_t)bytes, now_ns);
		longest_ns = wait_ns > longest_ns ? wait_ns : longest_ns;
	}
	return longest_ns;
}

void pace_give_back(struct pace *pace, size_t bytes, int64_t now_ns)
{
	for (; pace; pace = pace->next)
		(void)book(pace, -(int64_t)bytes, now_ns);
}
