package sqlstore

import "maps"

// A block is a range of ids, and stands for an endpoint having had deliveries
// in it. See the package comment.
type block struct {
	endpointID, number int64
}

// blockBits makes a block 16384 ids: reading one takes milliseconds, and most
// batches begin none.
const blockBits = 14

func blockOf(endpointID, deliveryID int64) block { return block{endpointID, deliveryID >> blockBits} }

// maxBlocks bounds what is remembered. Forgetting costs a statement that
// changes nothing.
const maxBlocks = 100_000

// isNewBlock reports whether the block may not be stored.
func (s *Store) isNewBlock(b block) bool {
	s.blocksMu.Lock()
	defer s.blocksMu.Unlock()
	_, stored := s.blocks[b]
	return !stored
}

func (s *Store) rememberBlocks(blocks map[block]struct{}) {
	if len(blocks) == 0 {
		return
	}
	s.blocksMu.Lock()
	defer s.blocksMu.Unlock()
	if len(s.blocks) >= maxBlocks {
		clear(s.blocks)
	}
	maps.Copy(s.blocks, blocks)
}
