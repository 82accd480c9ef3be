"""What a Chinese question asks for, by its words."""

import re

TYPES = {  # in the order in which they are looked for
    "why": "为什么|为何|为啥|何故|原因|理由|why",
    "how many": "多少|几[个名位次年天人种岁只条部本支届款项]|多[大长高远久重深宽]|how (many|much|long|far|old)",
    "when": "何时|什么时[候间]|啥时|哪[一]?[年天日月]|几[月日点时号]|when",
    "who": "谁|何人|什么人|哪[一]?[位些个]人|哪位|who",
    "where": "哪里|哪儿|何处|何地|什么地[方点]|哪[一]?个?(国家|城市|省|市|县|区|地区|地方|洲)|where",
    "how": "如何|怎么|怎样|咋|how",
    "yes or no": "是否|能否|可否|有无|是不是|能不能|有没有|可不可以|[吗嘛][?？]?$",
    "which": "哪|which",
    "what": "什么|何|啥|what",
}
PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in TYPES.items()}


def question_type(text: str) -> str:
    """One of TYPES, or "other"."""
    return next((name for name, pattern in PATTERNS.items() if pattern.search(text.strip())), "other")
