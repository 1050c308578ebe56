// SPDX-License-Identifier: GPL-2.0-only
/*
 * What elfutils 0.192, Debian 13's, calls in its static libelf.a but leaves out of it: the search
 * trees of its libeu.a (sourceware bug 32293, mended in 0.193). In an archive of its own behind
 * -lelf, so that a libelf which has them uses its own.
 */
#include <search.h>
#include <stddef.h>

/* As libelf allocates it: it has a lock behind the root where libelf is built with locks. */
struct search_tree {
	void *root;
};

void eu_search_tree_init(struct search_tree *tree);
void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *node));

void eu_search_tree_init(struct search_tree *tree)
{
	tree->root = NULL;
}

void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *node))
{
	tdestroy(tree->root, free_node);
	tree->root = NULL;
}
