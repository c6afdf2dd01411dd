"""The peers' published markets, as worlds in this engine's style: batched, pure, hashed, with their mistakes put right.

`simenv.peers.worlds.PEER_WORLDS` names them; each file says where its market comes from, what its makers got wrong,
what is different here, and the question that the world answers.
"""
