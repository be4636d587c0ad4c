/** Where a check's progress is: its operation has its id. */
export const operationRef = (id: string) => ({ id, url: `/api/v1/platform/operations/${id}` });
