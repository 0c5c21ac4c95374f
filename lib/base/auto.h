/* Scope cleanup for what a function owns. AUTO(json, root) = NULL; frees with json_free at the end
 * of the scope; TAKE(p) hands the value over and leaves NULL. Never for a borrowed pointer. */
#ifndef CHANCERY_BASE_AUTO_H
#define CHANCERY_BASE_AUTO_H

#define AUTO_DEFINE(type)                                                                          \
	static inline void type##_auto_free(struct type **p)                                       \
	{                                                                                          \
		type##_free(*p);                                                                   \
	}
#define AUTO(type, name) __attribute__((cleanup(type##_auto_free))) struct type *name

#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

#endif
