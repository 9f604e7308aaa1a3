#include "exchange/status_range.h"

static bool read_status(struct slice text, unsigned lowest, uint16_t *ret_status)
{
	uint64_t status;
	if (!slice_to_number(text, &status) || status < lowest || status > 599)
		return false;
	*ret_status = (uint16_t)status;
	return true;
}

static bool read_range(struct slice text, unsigned lowest, struct status_range *ret_range)
{
	struct slice first, last;
	if (!slice_cut(text, '-', &first, &last))
		last = first;
	return read_status(slice_trim(first), lowest, &ret_range->first) &&
	       read_status(slice_trim(last), lowest, &ret_range->last) && ret_range->first <= ret_range->last;
}

bool status_ranges_load(struct config_load *load, const struct config_texts *texts, unsigned lowest,
			struct status_range *ret_ranges, uint32_t most, uint32_t *ret_count)
{
	uint32_t count = 0;
	for (size_t i = 0; i < texts->count; i++) {
		const struct config_text *text = &texts->items[i];
		if (count == most) {
			config_error(load, text->place, "more than %u statuses and ranges", most);
			return false;
		}
		if (!read_range(text->text, lowest, &ret_ranges[count++])) {
			config_error(load, text->place,
				     "\"%.*s\" is no status from %u to 599; expected " STATUS_RANGE_FORM,
				     SLICE_ARGUMENTS(text->text), lowest);
			return false;
		}
	}
	*ret_count = count;
	return true;
}
