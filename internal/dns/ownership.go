package dns

import (
	"strings"
)

// Ownership is told by a TXT record beside each name, as external-dns does it: `heritage=farmhand,farmhand/owner=ID`.
// It stands at a name of its own (_farmhand.web.shop.internal for web.shop.internal), since a TXT record at the name
// itself may be somebody else's, and a resource record set is one thing in Route 53.
const (
	ownershipLabel = "_farmhand."
	heritage       = "heritage=farmhand,farmhand/owner="
)

// OwnershipName is where the ownership of a full name is told. The asterisk of a wildcard has no meaning further in.
func OwnershipName(name string) string {
	name = canonical(name)
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		name = "_any." + rest
	}
	return ownershipLabel + name
}

// OwnershipText is what is written there.
func OwnershipText(owner string) string { return heritage + owner }

// OwnerIn reads it; false if the text is none of ours.
func OwnerIn(text string) (owner string, ok bool) { return strings.CutPrefix(text, heritage) }
