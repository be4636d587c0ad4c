/** The newest that a place may have because of a move: that of a tenant which went there and back. */
export const lastGenerationOf = ({ to }: { to: { generation: number } }): number => to.generation + 1;
