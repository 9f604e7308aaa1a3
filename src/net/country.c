#include "net/country.h"

// --- Letters

static bool is_letter(char byte)
{
	return byte >= 'A' && byte <= 'Z';
}

unsigned country_of_letters(struct slice code)
{
	if (code.length != 2 || !is_letter(code.data[0]) || !is_letter(code.data[1]))
		return COUNTRY_NONE;
	return 1 + (unsigned)(code.data[0] - 'A') * 26 + (unsigned)(code.data[1] - 'A');
}

struct slice country_code(unsigned country)
{
#define WITH(first)                                                                                                    \
	first "A" first "B" first "C" first "D" first "E" first "F" first "G" first "H" first "I" first "J" first      \
	      "K" first "L" first "M" first "N" first "O" first "P" first "Q" first "R" first "S" first "T" first      \
	      "U" first "V" first "W" first "X" first "Y" first "Z"
	static const char codes[] = WITH("A") WITH("B") WITH("C") WITH("D") WITH("E") WITH("F") WITH("G") WITH("H")
		WITH("I") WITH("J") WITH("K") WITH("L") WITH("M") WITH("N") WITH("O") WITH("P") WITH("Q") WITH("R")
			WITH("S") WITH("T") WITH("U") WITH("V") WITH("W") WITH("X") WITH("Y") WITH("Z");
	return country == COUNTRY_NONE ? SLICE_EMPTY : slice_from(codes + 2 * (country - 1), 2);
}

// --- Names

// By code.
static const struct {
	char code[3];
	const char *name;
} countries[] = {
	// clang-format off
	{"AD", "Andorra"}, {"AE", "the United Arab Emirates"}, {"AF", "Afghanistan"}, {"AG", "Antigua and Barbuda"},
	{"AI", "Anguilla"}, {"AL", "Albania"}, {"AM", "Armenia"}, {"AO", "Angola"}, {"AQ", "Antarctica"},
	{"AR", "Argentina"}, {"AS", "American Samoa"}, {"AT", "Austria"}, {"AU", "Australia"}, {"AW", "Aruba"},
	{"AX", "the Åland Islands"}, {"AZ", "Azerbaijan"}, {"BA", "Bosnia and Herzegovina"}, {"BB", "Barbados"},
	{"BD", "Bangladesh"}, {"BE", "Belgium"}, {"BF", "Burkina Faso"}, {"BG", "Bulgaria"}, {"BH", "Bahrain"},
	{"BI", "Burundi"}, {"BJ", "Benin"}, {"BL", "Saint Barthélemy"}, {"BM", "Bermuda"}, {"BN", "Brunei"},
	{"BO", "Bolivia"}, {"BQ", "the Caribbean Netherlands"}, {"BR", "Brazil"}, {"BS", "the Bahamas"},
	{"BT", "Bhutan"}, {"BV", "Bouvet Island"}, {"BW", "Botswana"}, {"BY", "Belarus"}, {"BZ", "Belize"},
	{"CA", "Canada"}, {"CC", "the Cocos Islands"}, {"CD", "Congo (Kinshasa)"},
	{"CF", "the Central African Republic"}, {"CG", "Congo (Brazzaville)"}, {"CH", "Switzerland"},
	{"CI", "Côte d'Ivoire"}, {"CK", "the Cook Islands"}, {"CL", "Chile"}, {"CM", "Cameroon"}, {"CN", "China"},
	{"CO", "Colombia"}, {"CR", "Costa Rica"}, {"CU", "Cuba"}, {"CV", "Cape Verde"}, {"CW", "Curaçao"},
	{"CX", "Christmas Island"}, {"CY", "Cyprus"}, {"CZ", "Czechia"}, {"DE", "Germany"}, {"DJ", "Djibouti"},
	{"DK", "Denmark"}, {"DM", "Dominica"}, {"DO", "the Dominican Republic"}, {"DZ", "Algeria"}, {"EC", "Ecuador"},
	{"EE", "Estonia"}, {"EG", "Egypt"}, {"EH", "Western Sahara"}, {"ER", "Eritrea"}, {"ES", "Spain"},
	{"ET", "Ethiopia"}, {"FI", "Finland"}, {"FJ", "Fiji"}, {"FK", "the Falkland Islands"}, {"FM", "Micronesia"},
	{"FO", "the Faroe Islands"}, {"FR", "France"}, {"GA", "Gabon"}, {"GB", "the United Kingdom"}, {"GD", "Grenada"},
	{"GE", "Georgia"}, {"GF", "French Guiana"}, {"GG", "Guernsey"}, {"GH", "Ghana"}, {"GI", "Gibraltar"},
	{"GL", "Greenland"}, {"GM", "the Gambia"}, {"GN", "Guinea"}, {"GP", "Guadeloupe"}, {"GQ", "Equatorial Guinea"},
	{"GR", "Greece"}, {"GS", "South Georgia"}, {"GT", "Guatemala"}, {"GU", "Guam"}, {"GW", "Guinea-Bissau"},
	{"GY", "Guyana"}, {"HK", "Hong Kong"}, {"HM", "Heard Island"}, {"HN", "Honduras"}, {"HR", "Croatia"},
	{"HT", "Haiti"}, {"HU", "Hungary"}, {"ID", "Indonesia"}, {"IE", "Ireland"}, {"IL", "Israel"},
	{"IM", "the Isle of Man"}, {"IN", "India"}, {"IO", "the British Indian Ocean Territory"}, {"IQ", "Iraq"},
	{"IR", "Iran"}, {"IS", "Iceland"}, {"IT", "Italy"}, {"JE", "Jersey"}, {"JM", "Jamaica"}, {"JO", "Jordan"},
	{"JP", "Japan"}, {"KE", "Kenya"}, {"KG", "Kyrgyzstan"}, {"KH", "Cambodia"}, {"KI", "Kiribati"},
	{"KM", "the Comoros"}, {"KN", "Saint Kitts and Nevis"}, {"KP", "North Korea"}, {"KR", "South Korea"},
	{"KW", "Kuwait"}, {"KY", "the Cayman Islands"}, {"KZ", "Kazakhstan"}, {"LA", "Laos"}, {"LB", "Lebanon"},
	{"LC", "Saint Lucia"}, {"LI", "Liechtenstein"}, {"LK", "Sri Lanka"}, {"LR", "Liberia"}, {"LS", "Lesotho"},
	{"LT", "Lithuania"}, {"LU", "Luxembourg"}, {"LV", "Latvia"}, {"LY", "Libya"}, {"MA", "Morocco"},
	{"MC", "Monaco"}, {"MD", "Moldova"}, {"ME", "Montenegro"}, {"MF", "Saint Martin (French)"},
	{"MG", "Madagascar"}, {"MH", "the Marshall Islands"}, {"MK", "North Macedonia"}, {"ML", "Mali"},
	{"MM", "Myanmar"}, {"MN", "Mongolia"}, {"MO", "Macau"}, {"MP", "the Northern Mariana Islands"},
	{"MQ", "Martinique"}, {"MR", "Mauritania"}, {"MS", "Montserrat"}, {"MT", "Malta"}, {"MU", "Mauritius"},
	{"MV", "the Maldives"}, {"MW", "Malawi"}, {"MX", "Mexico"}, {"MY", "Malaysia"}, {"MZ", "Mozambique"},
	{"NA", "Namibia"}, {"NC", "New Caledonia"}, {"NE", "Niger"}, {"NF", "Norfolk Island"}, {"NG", "Nigeria"},
	{"NI", "Nicaragua"}, {"NL", "the Netherlands"}, {"NO", "Norway"}, {"NP", "Nepal"}, {"NR", "Nauru"},
	{"NU", "Niue"}, {"NZ", "New Zealand"}, {"OM", "Oman"}, {"PA", "Panama"}, {"PE", "Peru"},
	{"PF", "French Polynesia"}, {"PG", "Papua New Guinea"}, {"PH", "the Philippines"}, {"PK", "Pakistan"},
	{"PL", "Poland"}, {"PM", "Saint Pierre and Miquelon"}, {"PN", "Pitcairn"}, {"PR", "Puerto Rico"},
	{"PS", "Palestine"}, {"PT", "Portugal"}, {"PW", "Palau"}, {"PY", "Paraguay"}, {"QA", "Qatar"},
	{"RE", "Réunion"}, {"RO", "Romania"}, {"RS", "Serbia"}, {"RU", "Russia"}, {"RW", "Rwanda"},
	{"SA", "Saudi Arabia"}, {"SB", "the Solomon Islands"}, {"SC", "the Seychelles"}, {"SD", "Sudan"},
	{"SE", "Sweden"}, {"SG", "Singapore"}, {"SH", "Saint Helena"}, {"SI", "Slovenia"},
	{"SJ", "Svalbard and Jan Mayen"}, {"SK", "Slovakia"}, {"SL", "Sierra Leone"}, {"SM", "San Marino"},
	{"SN", "Senegal"}, {"SO", "Somalia"}, {"SR", "Suriname"}, {"SS", "South Sudan"},
	{"ST", "São Tomé and Príncipe"}, {"SV", "El Salvador"}, {"SX", "Sint Maarten (Dutch)"}, {"SY", "Syria"},
	{"SZ", "Eswatini"}, {"TC", "the Turks and Caicos Islands"}, {"TD", "Chad"},
	{"TF", "the French Southern Territories"}, {"TG", "Togo"}, {"TH", "Thailand"}, {"TJ", "Tajikistan"},
	{"TK", "Tokelau"}, {"TL", "East Timor"}, {"TM", "Turkmenistan"}, {"TN", "Tunisia"}, {"TO", "Tonga"},
	{"TR", "Türkiye"}, {"TT", "Trinidad and Tobago"}, {"TV", "Tuvalu"}, {"TW", "Taiwan"}, {"TZ", "Tanzania"},
	{"UA", "Ukraine"}, {"UG", "Uganda"}, {"UM", "the U.S. Outlying Islands"}, {"US", "the United States"},
	{"UY", "Uruguay"}, {"UZ", "Uzbekistan"}, {"VA", "Vatican City"}, {"VC", "Saint Vincent"}, {"VE", "Venezuela"},
	{"VG", "the British Virgin Islands"}, {"VI", "the U.S. Virgin Islands"}, {"VN", "Vietnam"}, {"VU", "Vanuatu"},
	{"WF", "Wallis and Futuna"}, {"WS", "Samoa"}, {"XK", "Kosovo"}, {"YE", "Yemen"}, {"YT", "Mayotte"},
	{"ZA", "South Africa"}, {"ZM", "Zambia"}, {"ZW", "Zimbabwe"},
	// clang-format on
};

struct slice country_name(unsigned country)
{
	for (size_t i = 0; i < sizeof countries / sizeof *countries; i++)
		if (country_of_letters(slice_from_string(countries[i].code)) == country)
			return slice_from_string(countries[i].name);
	return SLICE_EMPTY;
}

// --- Sets

void country_set_join(struct country_set *set, const struct country_set *more)
{
	for (size_t i = 0; i < sizeof set->bits / sizeof *set->bits; i++)
		set->bits[i] |= more->bits[i];
}

bool country_set_is_empty(const struct country_set *set)
{
	uint64_t all = 0;
	for (size_t i = 0; i < sizeof set->bits / sizeof *set->bits; i++)
		all |= set->bits[i];
	return all == 0;
}
